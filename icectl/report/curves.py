"""Charts of a training log."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from icectl.report import charts
from icectl.report.panels import Curve, Series

View = dict[str, Any]
Log = Sequence[Mapping[str, Any]]

_RATES = ("lr", "rate", "learning")
_ABBREVIATIONS = {**{word: word.upper() for word in ("bce", "kl", "mae", "mse", "rmse")}, "iou": "IoU"}
_NOT_CURVES = ("step", "epoch", "seconds", "time")
"""Words at the start of a log's keys: learning rates get a chart of their own, these none."""


def loss_charts(logs: Mapping[str, Log]) -> list[View]:
    """Return charts of the training's measures: of one run, or of several over each other.

    The same measure of training and validation shares a chart; the learning rate has its own.
    """
    keys = {k for log in logs.values() for line in log for k, v in line.items() if _is_number(v)}
    keys = {k for k in keys if not k.lower().startswith(_NOT_CURVES)}
    rates = {k for k in keys if k.lower().startswith(_RATES)}
    charts_of = []
    for title, group in {**_grouped(keys - rates), "learning rate": sorted(rates)}.items():
        series = [s for name, log in logs.items() for s in _series(name if len(logs) > 1 else "", log, group)]
        if series:
            panel = Curve(
                title=_heading(title),
                series=tuple(series),
                x_label="update",
                log_y=_wide(series),
            )
            charts_of.append(
                {"title": panel.title, "note": "", "words": "over updates", "svg": charts.curve(panel)}
            )
    return charts_of


def _heading(title: str) -> str:
    """Return the name of a measure as it is written: abbreviations in capitals, the first letter large."""
    words = [_ABBREVIATIONS.get(word, word) for word in title.split()]
    first, *rest = words
    return " ".join([first[:1].upper() + first[1:], *rest])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _grouped(keys: Iterable[str]) -> dict[str, list[str]]:
    """Group ``train/loss`` with ``valid/loss``; the loss comes first."""
    groups: dict[str, list[str]] = {}
    for key in sorted(keys):
        groups.setdefault(key.rpartition("/")[2].replace("_", " "), []).append(key)
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "loss", item[0])))


def _series(name: str, log: Log, keys: Sequence[str]) -> list[Series]:
    found = []
    if name and any(_checked(key) for key in keys):  # several runs on one chart: validation says enough
        keys = [key for key in keys if _checked(key)]
    for key in keys:
        points = [(line.get("step", i), line[key]) for i, line in enumerate(log) if _is_number(line.get(key))]
        if points:
            rate = key.lower().startswith(_RATES)  # the optimiser's name tells rates apart
            what = key.rpartition("/")[2] if rate else key.rpartition("/")[0] or key
            label = " · ".join(part for part in (name, what) if part)
            x, y = zip(*points, strict=True)
            role = "other" if name or rate else "prediction" if _checked(key) else "truth"
            found.append(Series(label=label, x=x, y=y, role=role))
    return found


def _checked(key: str) -> bool:
    return key.lower().startswith(("val", "valid"))


def _wide(series: Sequence[Series]) -> bool:
    """Tell whether values span more than two powers of ten, all above zero."""
    values = [v for s in series for v in s.y if v is not None]
    return bool(values) and min(values) > 0 and max(values) / min(values) > 100
