"""Every model that this distribution registers passes the suite that it ships."""

from __future__ import annotations

from icectl import registry
from icectl.testing import PluginTests

ONCE = ("test_stages_see_their_identity_alone", "test_evaluation_is_recomputable")
"""Checks of what models share, which are made of one of them."""
SHARING = {
    "lstm": "convlstm", "unet": "convlstm", "salstm": "convlstm", "snow-mlp": "convlstm",
    "front-unet": "deeplab-xception",
}  # fmt: skip
"""Models that fetch, prepare and evaluate with the code of another one, which is checked."""

for _found in registry.announced():
    if _found.distribution == "icectl":
        _name = "Test" + "".join(part.title() for part in _found.name.split("-"))
        _left = dict.fromkeys(ONCE) if _found.name in SHARING else {}
        globals()[_name] = type(_name, (PluginTests,), {"name": _found.name, **_left})


def test_who_is_not_checked_shares_the_code_that_is() -> None:
    for name, other in SHARING.items():
        models = [type(registry.load_model(registry.get(one))) for one in (name, other)]
        for verb in ("fetch", "prepare", "evaluate"):
            assert getattr(models[0], verb) is getattr(models[1], verb), (name, verb)


def test_all_models_are_here() -> None:
    """The seven of the design, each with a class above."""
    seven = {"Lstm", "Convlstm", "Unet", "Salstm", "Svg", "DeeplabXception", "InpaintGan"}
    assert {name.removeprefix("Test") for name in globals() if name.startswith("Test")} >= seven
