"""icectl: one command line for deep learning on glaciers, and the same from Python (`icectl.api`)."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_DOOR = ("OpenRun", "Products", "evaluate", "fetch", "open_run", "predict", "train", "velocity")


def __getattr__(name: str) -> Any:
    """Bring in the Python API when it is used: the command line starts without it."""
    if name in _DOOR:
        return getattr(import_module("icectl.api"), name)
    raise AttributeError(f"module 'icectl' has no attribute '{name}'")
