"""Colour scales: values survive the way into a PNG, and the colour-blind can read them."""

import io

import numpy as np
import pytest
from PIL import Image
from report_runs import relief
from skimage.color import rgb2lab

from icectl.report.colours import STEPS, Scale, colour_map, encode, hill_shade, scale_for
from icectl.report.panels import Colours

NAMES = Colours.__args__
SEQUENTIAL = [name for name in NAMES if name != "diverging"]

# Linear-light matrices of Viénot, Brettel and Mollon (1999) for people without red or green cones.
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def seen(colours, matrix):
    """What somebody with that sight sees of sRGB colours within [0, 1]."""
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ matrix.T, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("matrix", [np.eye(3), PROTAN, DEUTAN], ids=["full", "protan", "deutan"])
def test_more_is_always_lighter(name, matrix):
    colours = colour_map(name)(np.linspace(0, 1, 33))[:, :3]
    lightness = rgb2lab(seen(colours, matrix)[None])[0, :, 0]
    assert (np.diff(lightness) > -0.4).all()
    assert lightness[-1] - lightness[0] > 45


@pytest.mark.parametrize("matrix", [np.eye(3), PROTAN, DEUTAN], ids=["full", "protan", "deutan"])
def test_above_and_below_zero_differ_for_everybody(matrix):
    colours = colour_map("diverging")([0.15, 0.5, 0.85])[:, :3]
    low, middle, high = rgb2lab(seen(colours, matrix)[None])[0]
    assert np.linalg.norm(low - high) > 40
    assert min(np.linalg.norm(low - middle), np.linalg.norm(high - middle)) > 35


@pytest.mark.parametrize("name", NAMES)
def test_a_png_gives_its_values_back(name):
    values = np.linspace(-2, 5, 200, dtype=np.float32).reshape(10, 20)
    values[0, :3] = np.nan
    scale = Scale(name, -2.0, 5.0)
    with Image.open(io.BytesIO(encode(values, scale))) as picture:
        rgba = np.asarray(picture.convert("RGBA")).astype(int)
    assert (rgba[..., 3] == 0).tolist() == np.isnan(values).tolist()
    distance = ((rgba[:, :, None, :3] - scale.palette[None, None].astype(int)) ** 2).sum(-1)
    step = (scale.high - scale.low) / (STEPS - 1)
    back = scale.low + distance.argmin(-1) * step
    valid = ~np.isnan(values)
    assert np.abs(back - values)[valid].max() <= 1.01 * step


def test_values_beyond_the_scale_take_its_ends():
    scale = Scale("grey", 0.0, 1.0)
    with Image.open(io.BytesIO(encode(np.float32([[-9, 9]]), scale))) as picture:
        assert np.asarray(picture).tolist() == [[1, STEPS]]


def test_bounds_come_from_percentiles_unless_given():
    image = relief(200, 200)
    scale = scale_for([image], "sequential")
    low, high = np.percentile(image, [2, 98])
    assert scale.low == pytest.approx(low, rel=0.01)
    assert scale.high == pytest.approx(high, rel=0.01)
    assert scale_for([image], "sequential", 0, 10) == Scale("sequential", 0, 10)
    assert (
        scale_for([image - image.mean()], "diverging").low
        == -scale_for([image - image.mean()], "diverging").high
    )
    assert scale_for([image], "diverging", None, 3.0) == Scale("diverging", -3, 3)


@pytest.mark.parametrize(
    "images", [[], [np.full((4, 4), np.nan, np.float32)], [np.zeros((4, 4), np.float32)]]
)
@pytest.mark.parametrize("name", ["sequential", "diverging", "grey"])
def test_a_scale_has_room_even_without_values(images, name):
    scale = scale_for(images, name)
    assert np.isfinite([scale.low, scale.high]).all()
    assert scale.high > scale.low


def test_hill_shade_is_lit_from_the_north_west():
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0))
    facing_nw = hill_shade((30 * (x + y)).astype(np.float32), 30.0)  # rises to the south-east
    facing_se = hill_shade((-30 * (x + y)).astype(np.float32), 30.0)
    flat = hill_shade(np.zeros((40, 40), np.float32), 30.0)
    assert facing_nw.mean() > flat.mean() > facing_se.mean()
    holed = np.full((5, 5), np.nan, np.float32)
    assert (hill_shade(holed, 30.0) == 255).all()
