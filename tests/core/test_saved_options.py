"""What a saved run hands on to other images, and what it keeps to itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from icectl import registry
from icectl.cli.resolve import _options
from icectl.settings import Glacier


@pytest.mark.parametrize(
    ("model", "prepare"),
    [
        ("front-unet", {"resolution": 49.0, "band": 2, "flow": "up"}),
        ("svg", {"resolution": 15.0, "crs": "EPSG:32718"}),
    ],
)
def test_metres_per_pixel_of_a_run_never_describe_other_images(model, prepare):
    plugin = registry.get(model)
    saved = {"options": {"prepare": prepare}, "schema": plugin.schema}
    asked = SimpleNamespace(plugin=plugin, named_experiment=None, given=lambda options: {})
    own = _options(asked, "prepare", Glacier(name="x"), saved, own=True)
    other = _options(asked, "prepare", Glacier(name="x"), saved, own=False)
    assert own.resolution == prepare["resolution"]
    assert other.resolution is None
    assert getattr(other, "crs", None) is None
    if model == "front-unet":
        assert (own.flow, other.flow, other.band) == ("up", "auto", 2)
    asked.given = lambda options: {"resolution": 30.0}
    assert _options(asked, "prepare", Glacier(name="x"), saved, own=False).resolution == 30


@pytest.mark.parametrize("model", ["front-unet", "svg", "snow-mlp", "inpaint-gan"])
def test_a_number_where_a_table_is_now_is_left_out(model):
    """The weights of fronts that ship say ``"world": 0``, and were refused."""
    plugin = registry.get(model)
    saved = {"fetch": {"world": 0, "no_such": None}}
    kept = registry.upgrade_options(plugin, saved, plugin.schema)
    assert kept == {"fetch": {}}
