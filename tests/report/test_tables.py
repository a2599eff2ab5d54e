"""Result tables: the bar is the contract's, and numbers are written as people read them."""

import csv
import io
from urllib.parse import unquote

import pytest
from report_runs import metrics

from icectl.contract import Column, Metrics, Row, Table
from icectl.report.tables import PUBLISHED, bar_of, facts_view, headline, number, table_view, verdict
from icectl.stages import metrics_record


def record():
    return metrics_record(metrics([]))


def test_the_bar_is_the_one_of_the_contract():
    found = metrics([])
    assert bar_of(record()["tables"][0])["name"] == found.tables[0].bar().name == "linear"


@pytest.mark.parametrize(("better", "expected"), [("lower", "a"), ("higher", "b"), ("", None)])
def test_the_bar_follows_the_direction(better, expected):
    table = Table(
        title="t",
        primary="x",
        columns=(Column(key="x", label="x", better=better),),
        rows=tuple(
            Row(name=n, kind="baseline", values={"x": v}) for n, v in (("a", 1.0), ("b", 2.0), ("c", None))
        ),
    )
    plain = metrics_record(type(metrics([]))(tables=(table,)))["tables"][0]
    assert (bar_of(plain) or {}).get("name") == expected


def test_cells_carry_best_values_and_intervals():
    view = table_view(record()["tables"][0], {"convlstm": {"mse": [0.0398, 0.0431]}})
    model, last, linear, published = view["rows"]
    assert model["cells"][0] == {"text": "0.0412", "best": True, "interval": "0.0398 – 0.0431"}
    assert [row["cells"][0]["best"] for row in (last, linear, published)] == [False] * 3
    assert linear["kind"] == "strongest baseline"
    assert published["kind"] == "published, not directly comparable"
    assert last["cells"][2]["text"] == "–"
    assert view["heads"][0]["arrow"] == "↓"
    assert view["heads"][0]["primary"]


def test_a_table_is_there_as_csv_with_all_digits_and_intervals():
    table = record()["tables"][0]
    table["rows"][0]["values"]["mse"], table["rows"][0]["name"] = 0.041234567, 'conv, "lstm"'
    view = table_view(table, {'conv, "lstm"': {"mse": [0.0398, 0.0431]}})
    head, first, *others = csv.reader(io.StringIO(unquote(view["csv"].partition(",")[2])))
    assert head[:5] == ["name", "kind", "MSE", "MSE low", "MSE high"]
    assert first[:5] == ['conv, "lstm"', "model", "0.041234567", "0.0398", "0.0431"]
    assert [row[:2] + row[3:5] for row in others] == [
        [r["name"], r["kind"], "", ""] for r in table["rows"][1:]
    ]
    assert {len(row) for row in (head, first, *others)} == {len(table["columns"]) + 4}
    assert view["file"].endswith(".csv")


def test_a_published_figure_is_never_the_best():
    table = record()["tables"][0]
    table["rows"][3]["values"]["mse"] = 0.001
    assert not table_view(table)["rows"][3]["cells"][0]["best"]
    assert table_view(table)["rows"][0]["cells"][0]["best"]


def test_the_headline_says_how_much_better():
    assert headline(record()["tables"][0]) == {
        "label": "MSE",
        "unit": "",
        "name": "convlstm",
        "value": "0.0412",
        "bar": "linear",
        "bar_value": "0.0490",
        "gain": 16,
    }
    table = record()["tables"][0]
    table["rows"][0]["values"]["mse"] = 0.098
    assert headline(table)["gain"] == -100
    assert headline({"columns": [], "rows": [], "primary": "x"}) is None
    table["columns"][0]["better"] = "higher"  # then the last frame is the bar
    last = table["rows"][1]
    table["rows"][0]["values"]["mse"] = 2 * last["values"]["mse"]
    assert (headline(table)["bar"], headline(table)["gain"]) == (last["name"], 100)


def test_the_verdict_says_better_or_worse_and_how_sure():
    said = verdict(record())
    assert said == "convlstm is 16 % better than the strongest baseline, linear (interval +12 to +20 %)"
    lost = record()
    lost["tables"][0]["rows"][0]["values"]["mse"] = 0.098
    lost["details"].pop("gain")
    assert verdict(lost) == "convlstm is 100 % worse than the strongest baseline, linear"
    lost["tables"][0]["rows"][0]["values"]["mse"] = lost["tables"][0]["rows"][2]["values"]["mse"]
    assert verdict(lost) == "convlstm is level with the strongest baseline, linear"
    assert verdict({"tables": []}) is None
    unsure = record()
    unsure["details"]["gain"] = [-48.2, 65.1]
    assert verdict(unsure) == (
        "no difference shown between convlstm and the strongest baseline, linear (interval −48 to +65 %)"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (0.000123456, "0.0001235"),
        (12345.6, "12,346"),
        (True, "yes"),
        ("a", "a"),
        (-5.373, "−5.373"),
        (-9e-15, "0"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_facts_are_flattened():
    lines = facts_view(
        {"period": "2013 to 2021", "guard": {"frames": 8}, "sizes": list(range(20)), "none": []}
    )
    assert lines[0] == ("period", "2013 to 2021")
    assert lines[1] == ("guard › frames", "8")
    assert lines[2][1].endswith("… (20 in all)")
    assert lines[3] == ("none", "–")


def test_published_rows_are_said_to_be_no_rivals_once():
    table = {**record()["tables"][0], "note": "Own."}
    assert table_view(table)["notes"] == ["Own.", PUBLISHED]
    assert table_view({**table, "rows": table["rows"][:3]})["notes"] == ["Own."]


@pytest.mark.parametrize(("better", "bar"), [("higher", "good"), ("lower", "poor")])
def test_the_bar_is_the_strongest_baseline_in_the_columns_direction(better, bar):
    values = {"poor": 0.2, "good": 0.9, "unknown": None}
    rows = [Row(name=name, kind="baseline", values={"score": value}) for name, value in values.items()]
    rows += [
        Row(name=k, kind=k, values={"score": v}) for k in ("model", "mark", "published") for v in (0.0, 1.0)
    ]
    column = Column(key="score", label="score", better=better)
    table = Table(title="T", columns=(column,), rows=tuple(rows), primary="score")
    assert table.bar().name == bar == bar_of(metrics_record(Metrics(tables=(table,)))["tables"][0])["name"]
