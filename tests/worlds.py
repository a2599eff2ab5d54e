"""Other synthetic worlds than the demo glacier's, for tests of the command line: no flag holds them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import tomli_w


@cache
def _file(model: str, world: tuple[tuple[str, object], ...]) -> Path:
    file = Path(mkdtemp()) / "world.toml"
    file.write_text(tomli_w.dumps({"model": model, "fetch": {"world": dict(world)}}))
    return file


def world(model: str, **values: object) -> tuple[str, str]:
    """Return words that make another world: an experiment's file for `model`, or for others of its task."""
    return "--experiment", str(_file(model, tuple(values.items())))
