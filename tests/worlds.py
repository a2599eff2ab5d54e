"""Other synthetic worlds than the demo glacier's, for tests of the command line: no flag holds them."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import tomli_w


@cache
def _file(model: str, world: tuple[tuple[str, object], ...]) -> Path:
    """Write the file once; its name is the same in all processes of a test run, which compare their tests."""
    text = tomli_w.dumps({"model": model, "fetch": {"world": dict(world)}})
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    file = Path(gettempdir()) / f"icectl-world-{os.getuid()}-{digest}.toml"
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    part.replace(file)
    return file


def world(model: str, **values: object) -> tuple[str, str]:
    """Return words that make another world: an experiment's file for `model`, or for others of its task."""
    return "--experiment", str(_file(model, tuple(values.items())))
