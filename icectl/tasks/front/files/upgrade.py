"""Saved options of older schemas, as those of today. Light: read when an old run is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icectl.contract import Options
from icectl.tasks.front.options import (
    EvaluateOptions,
    FetchOptions,
    PredictOptions,
    PrepareOptions,
    TrainOptions,
)

_TODAY: Mapping[str, type[Options]] = {
    "fetch": FetchOptions,
    "prepare": PrepareOptions,
    "train": TrainOptions,
    "predict": PredictOptions,
    "evaluate": EvaluateOptions,
}


def deeplab_from_1(saved: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return options of schema 1 as those of schema 2: knobs that are gone are dropped.

    Names of glaciers by WRS path and row are read by `fetch` now. Weights of schema 1 are refused when they
    are opened: ``small`` and ``best`` were another network than the name said.

    Examples
    --------
    >>> old = {"prepare": {"wrs_glaciers": {"helheim": ["233013"]}, "flow": "up"}, "predict": {"walls": True}}
    >>> new = deeplab_from_1(old)
    >>> new["fetch"], new["prepare"], new["predict"]
    ({'wrs_glaciers': {'helheim': ['233013']}}, {'flow': 'up'}, {})
    """
    moved = {verb: dict(values) for verb, values in saved.items()}
    places = moved.get("prepare", {}).pop("wrs_glaciers", {})
    moved.setdefault("fetch", {})
    if places:
        moved["fetch"]["wrs_glaciers"] = places
    return {
        verb: {name: value for name, value in values.items() if name in _TODAY[verb].model_fields}
        for verb, values in moved.items()
    }
