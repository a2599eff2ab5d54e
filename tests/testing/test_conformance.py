"""Every model that this distribution registers passes the suite that it ships."""

from __future__ import annotations

from icectl import registry
from icectl.testing import PluginTests

for _found in registry.announced():
    if _found.distribution == "icectl":
        _name = "Test" + "".join(part.title() for part in _found.name.split("-"))
        globals()[_name] = type(_name, (PluginTests,), {"name": _found.name})


def test_all_models_are_here() -> None:
    """The seven of the design, each with a class above."""
    seven = {"Lstm", "Convlstm", "Unet", "Salstm", "Svg", "DeeplabXception", "InpaintGan"}
    assert {name.removeprefix("Test") for name in globals() if name.startswith("Test")} >= seven
