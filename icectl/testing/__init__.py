"""The conformance suite: what every plugin must do, as tests that its author runs.

A test file of three lines checks an installed plugin (or one named in ``ICECTL_PLUGINS``):

    from icectl.testing import PluginTests

    class TestMine(PluginTests):
        name = "my-model"

``icectl plugins validate NAME`` runs the light checks, ``--full`` all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icectl.testing.subject import Subject
    from icectl.testing.suite import PluginTests

__all__ = ["PluginTests", "Subject"]


def __getattr__(name: str) -> Any:
    """Import the suite (and pytest with it) when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{'suite' if name == 'PluginTests' else 'subject'}")
    return getattr(home, name)
