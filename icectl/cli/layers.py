"""The options of one stage from all places that may set them; the stronger place wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from icectl import settings
from icectl.contract import Options
from icectl.errors import UsageError


@dataclass(frozen=True)
class Layer:
    """Values of one stage from one place; `where` words its errors."""

    values: Mapping[str, Any]
    where: str


FLAG = "flag"
"""Where what was typed comes from."""


def merge(kind: type[Options], layers: list[Layer]) -> Options:
    """Validate the layers together, weakest first; an error names the place of the value that is wrong."""
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        if "preset" in layer.values and layer.values["preset"] != values.get("preset"):
            for name in kind.presets.get(str(layer.values["preset"]), {}):
                values.pop(name, None)  # a preset chosen here outranks what weaker layers said
        values.update(layer.values)
        origin.update(dict.fromkeys(layer.values, layer.where))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _worded(error, kind, origin) from error


def _worded(error: ValidationError, kind: type[Options], origin: Mapping[str, str]) -> UsageError:
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return UsageError(f"options do not go together: {reason}", "change one of them, or leave it out")
    key = str(first["loc"][0])
    where = origin.get(key, kind.__name__)
    if where != FLAG:
        return settings.worded(error, where, list(kind.model_fields))
    return UsageError(f"--{key.replace('_', '-')} {first['input']} is not allowed", reason)
