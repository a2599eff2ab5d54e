"""Charts of training logs: what shares a chart, what is left out, and when a scale is logarithmic."""

import re

import pytest

from icectl.report import curves
from icectl.report.curves import loss_charts


def labels(view):
    return re.findall(r">([^<>]+ · [^<>]+|train|valid|\w+)</text>", view["svg"])


def log(train=(3.0, 2.0, 1.0), rate=1e-3):
    return [
        {"step": k, "epoch": 0, "seconds": 1.0, "train/loss": v, "lr/main": rate} for k, v in enumerate(train)
    ] + [{"step": 2, "valid/loss": 1.5, "finished": True}]


def test_training_and_validation_of_one_run_share_a_chart_and_rates_have_their_own():
    loss, rate = loss_charts({"mine": log()})
    assert (loss["title"], rate["title"]) == ("Loss", "Learning rate")
    assert {"train", "valid"} <= set(labels(loss))
    assert not {"train", "valid"} & set(labels(rate))


def test_of_several_runs_validation_is_shown_alone():
    loss, rate = loss_charts({"one": log(), "two": log()})
    assert [label for label in labels(loss) if "·" in label] == ["one · valid", "two · valid"]
    assert [label for label in labels(rate) if "·" in label] == ["one · main", "two · main"]
    unchecked = [line for line in log() if "valid/loss" not in line]
    loss, _ = loss_charts({"one": unchecked, "two": unchecked})
    assert [label for label in labels(loss) if "·" in label] == ["one · train", "two · train"]


@pytest.mark.parametrize(
    ("values", "wide"),
    [
        ((1.0, 0.5), False),
        ((1.0, 0.01), False),
        ((1.0, 0.009), True),
        ((1.0, 0.0), False),
        ((1.0, -2.0), False),
    ],
)
def test_a_scale_is_logarithmic_where_values_span_more_than_two_powers(values, wide, monkeypatch):
    drawn = []
    monkeypatch.setattr(curves.charts, "curve", lambda panel: drawn.append(panel) or "<svg/>")
    loss_charts({"mine": [{"step": k, "train/loss": v} for k, v in enumerate(values)]})
    assert [panel.log_y for panel in drawn] == [wide]
