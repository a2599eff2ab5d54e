"""One field of heights or speeds in the forms that people's files have: values are the same, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer
from scipy import ndimage
from writing import NORTH, tif

from icectl.errors import DataError
from icectl.raster import Info, Window, grid_of, ground_grid, read_quantity
from icectl.raster.cf import layers, open_cube, stamp

ROWS, COLUMNS = 20, 24
HEIGHTS = 500 + 20.0 * np.arange(COLUMNS) + 10.0 * np.arange(ROWS)[:, None]
FEET = HEIGHTS / 0.3048
OPEN = np.full((ROWS, COLUMNS), 255, np.uint8)
OPEN[:, :5] = 0
HOLED = np.where(OPEN == 0, np.nan, HEIGHTS)
SOUTH = Affine(30, 0, 500_000, 0, 30, 4_000_000 - 30 * ROWS)
WEST = Affine(-30, 0, 500_000 + 30 * COLUMNS, 0, -30, 4_000_000)

FORMS = {
    "the unit in a band's tag": (HEIGHTS * 100, {"band_tags": {"units": "cm"}}, HEIGHTS),
    "the unit in a tag of another name": (HEIGHTS * 100, {"band_tags": {"UNITTYPE": "cm"}}, HEIGHTS),
    "the unit in the file's tag": (FEET, {"tags": {"Units": "feet"}}, HEIGHTS),
    "a vertical CRS in US feet": (HEIGHTS * 3937 / 1200, {"crs": "EPSG:32643+6360"}, HEIGHTS),
    "kilometres": (HEIGHTS / 1000, {"units": ("km",)}, HEIGHTS),
    "south up": (HEIGHTS[::-1], {"transform": SOUTH}, HEIGHTS),
    "from east to west": (HEIGHTS[:, ::-1], {"transform": WEST}, HEIGHTS),
    "axes swapped": (HEIGHTS.T, {"transform": Affine(0, 30, 500_000, -30, 0, 4_000_000)}, HEIGHTS),
    "a mask": (HEIGHTS, {"mask": OPEN}, HOLED),
    "a mask and nodata": (
        np.where(OPEN == 0, -9999, HEIGHTS),
        {"mask": OPEN * 0 + 255, "nodata": -9999},
        HOLED,
    ),
    "nodata beyond all bounds": (
        np.where(OPEN == 0, -3.4028235e38, HEIGHTS),
        {"nodata": -3.4028235e38},
        HOLED,
    ),
    "infinity": (np.where(OPEN == 0, np.inf, HEIGHTS), {}, HOLED),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_field_in_many_forms(tmp_path, form):
    values, about, wanted = FORMS[form]
    path = tif(tmp_path / "dem.tif", values.astype(np.float32), **about)
    found = read_quantity(path, "elevation")
    np.testing.assert_array_equal(found.valid, np.isfinite(wanted))
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)
    assert found.grid.affine == NORTH
    part = read_quantity(path, "elevation", window=Window(3, 4, 9, 10))
    np.testing.assert_allclose(part.values, wanted[3:12, 4:14], rtol=1e-5)
    halved = GeoBox((ROWS // 2, COLUMNS // 2), NORTH * Affine.scale(2), "EPSG:32643")
    coarse = read_quantity(path, "elevation", grid=halved)  # the mean, since pixels grow
    blocks = wanted.reshape(ROWS // 2, 2, COLUMNS // 2, 2).transpose(0, 2, 1, 3).reshape(*halved.shape, 4)
    known = np.isfinite(blocks).any(-1)
    np.testing.assert_array_equal(coarse.valid, known)
    np.testing.assert_allclose(coarse.values[known], np.nanmean(blocks[known], -1), rtol=1e-5)


@pytest.mark.parametrize(("scale", "offset", "void"), [(0.1, 0.0, -9999), (0.01, 100.0, -32768)])
def test_scale_counts_before_resampling_and_codes_before_scale(tmp_path, scale, offset, void):
    stored = np.rint((HEIGHTS - offset) / scale)
    stored[:, :5] = void  # undeclared: in centimetres −99.99 m would be a height
    path = tif(tmp_path / "dem.tif", stored.astype(np.int32), scales=(scale,), offsets=(offset,))
    found = read_quantity(path, "elevation")
    assert not found.valid[:, :5].any()
    assert found.valid[:, 7:].all()
    assert f"({void * scale + offset:g})" in found.notes[0]
    shifted = GeoBox((ROWS, COLUMNS), NORTH * Affine.translation(0.5, 0.5), "EPSG:32643")
    moved = read_quantity(path, "elevation", grid=shifted)
    assert np.nanmin(moved.values) > 499  # no void was mixed into a height
    assert moved.notes == found.notes


@pytest.mark.parametrize("code", [-9999.0, -32767.0, -32768.0])
def test_codes_of_nothing_are_no_velocities(tmp_path, code):
    speeds = np.full((ROWS, COLUMNS), 120.0, np.float32)
    speeds[4:9, 4:9] = code
    path = tif(tmp_path / "v.tif", speeds)
    shifted = GeoBox((ROWS, COLUMNS), NORTH * Affine.translation(0.5, 0.5), "EPSG:32643")
    for found in (read_quantity(path, "velocity"), read_quantity(path, "velocity", grid=shifted)):
        assert np.nanmin(found.values) == 120
        assert "undeclared nodata" in found.notes[0]
    assert not read_quantity(path, "grey").valid[4:9, 4:9].any()


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("m yr⁻¹", 1), ("m d⁻¹", 365), ("cm/d", 3.65), ("metres per year", 1), ("m.yr-1", 1), ("km a^-1", 1000)],
)
def test_speeds_in_any_spelling(tmp_path, unit, factor):
    path = tif(tmp_path / "v.tif", np.full((4, 4), 2.0, np.float32), units=(unit,))
    assert read_quantity(path, "velocity").values[0, 0] == pytest.approx(2 * factor)


@pytest.mark.parametrize(
    ("value", "unit"), [(917.0, "kg m-2 a-1"), (0.917, "m w.e. a-1"), (917.0, "mm w.e. yr-1"), (1.0, "m a-1")]
)
def test_mass_balances_become_metres_of_ice(tmp_path, value, unit):
    path = tif(tmp_path / "b.tif", np.full((4, 4), value, np.float32), units=(unit,))
    assert read_quantity(path, "mass balance").values[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("high", [300, 50])
def test_mass_balances_in_millimetres_are_refused(tmp_path, high):
    """What lay below -200 was taken for missing, and the rest for metres; one number alone is a fill."""
    values = np.linspace(-3000, high, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.float32)
    with pytest.raises(DataError, match=r"mass balance lie between -299\d\.?\d* and .* cannot be metres"):
        read_quantity(tif(tmp_path / "smb.tif", values), "mass balance")
    metres = np.where(OPEN == 0, -999, values / 1000).astype(np.float32)
    found = read_quantity(tif(tmp_path / "smb.tif", metres), "mass balance")
    np.testing.assert_allclose(found.values[found.valid], metres[OPEN != 0])


@pytest.mark.parametrize("name", ["v_m_d", "speed_m-d", "v_mpd", "vel_cm_d"])
def test_days_in_the_name_of_a_velocity(tmp_path, name):
    path = tif(tmp_path / f"{name}.tif", np.full((4, 4), 2.0, np.float32))
    assert read_quantity(path, "velocity").values[0, 0] == pytest.approx(7.3 if "cm" in name else 730)


def test_longitudes_from_0_to_360(tmp_path):
    path = tif(
        tmp_path / "a.tif", HEIGHTS.astype(np.float32), Affine(0.001, 0, 280, 0, -0.001, 70), "EPSG:4326"
    )
    west = GeoBox((ROWS, COLUMNS), Affine(0.001, 0, -80, 0, -0.001, 70), "EPSG:4326")
    assert grid_of(path) == west
    np.testing.assert_allclose(read_quantity(path, "elevation", grid=west).values, HEIGHTS, rtol=1e-6)
    metric = ground_grid(west).grid
    assert read_quantity(path, "elevation", grid=metric).valid.mean() > 0.8
    world = tif(
        tmp_path / "world.tif", np.arange(72, dtype=np.float32)[None].repeat(36, 0),
        Affine(5, 0, 0, 0, -5, 90), "EPSG:4326",
    )  # fmt: skip
    part = GeoBox((2, 3), Affine(5, 0, -80, 0, -5, 70), "EPSG:4326")
    assert read_quantity(world, "grey", grid=part).values.tolist() == [[56, 57, 58]] * 2


def test_places_that_cannot_be_are_refused(tmp_path):
    swapped = tif(
        tmp_path / "s.tif", HEIGHTS.astype(np.float32), Affine(0.001, 0, 46, 0, -0.001, 100), "EPSG:4326"
    )
    with pytest.raises(DataError, match=r"s\.tif: its latitudes reach from 99\.98 to 100"):
        grid_of(swapped)
    local = tif(tmp_path / "l.tif", HEIGHTS.astype(np.float32), crs='LOCAL_CS["site",UNIT["metre",1]]')
    with pytest.raises(DataError, match="'site' is a local one that has no place on the ground"):
        ground_grid(grid_of(local))
    with pytest.raises(DataError, match="'site' is a local one"):  # a catalogue failed
        Info(local)
    earth = tif(tmp_path / "e.tif", HEIGHTS.astype(np.float32), crs="EPSG:4978")
    with pytest.raises(DataError, match=r"the CRS 'WGS 84' of e\.tif counts from the Earth's centre"):
        read_quantity(earth, "elevation")
    wave = tif(tmp_path / "c.tif", (HEIGHTS + 1j).astype(np.complex64))
    with pytest.raises(DataError, match=r"c\.tif holds complex numbers"):
        read_quantity(wave, "grey")


def test_a_palette_is_read_as_its_colours(tmp_path):
    colours = {0: (0, 0, 0), 1: (250, 200, 150), 2: (9, 9, 9)}
    path = tif(tmp_path / "p.tif", np.array([[0, 1], [2, 1]], np.uint8), nodata=2, colormap=colours)
    found = read_quantity(path, "grey")
    assert found.valid.tolist() == [[True, True], [False, True]]
    assert found.values[0].tolist() == [0, 200]
    assert read_quantity(path, "label").values.tolist() == [[0, 1], [2, 1]]


def test_a_large_raster_is_read_in_strips(tmp_path, monkeypatch):
    monkeypatch.setattr("icectl.raster.onto.MAX_PIXELS", 100)
    path = tif(tmp_path / "dem.tif", HEIGHTS.astype(np.float32))
    shifted = GeoBox((ROWS - 1, COLUMNS - 1), NORTH * Affine.translation(0.5, 0.5), "EPSG:32643")
    got = read_quantity(path, "elevation", grid=shifted)
    np.testing.assert_allclose(got.values, HEIGHTS[:-1, :-1] + 15, rtol=1e-6)


def test_overviews_of_another_raster_are_not_looked_at(tmp_path):
    path, other = (
        tif(tmp_path / f"{n}.tif", v.astype(np.float32)) for n, v in (("a", HEIGHTS), ("b", 0 * HEIGHTS))
    )
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(other, "r+") as file:
        file.build_overviews([2])
    (tmp_path / "b.tif.ovr").rename(tmp_path / "a.tif.ovr")
    halved = GeoBox((ROWS // 2, COLUMNS // 2), NORTH * Affine.scale(2), "EPSG:32643")
    assert np.nanmin(read_quantity(path, "elevation", grid=halved).values) > 500


NAMED = {
    "one fits by a word": (("slope", "elevation 2019-07-01T00:00:00"), 1),
    "what is about it does not": (("height_error", "Height (m)"), 1),
    "that of OGGM": (("glacier_mask", "topo"), 1),
    "the first of a raster without names": ((None, None), 0),
}


@pytest.mark.parametrize("names", NAMED)
def test_the_band_of_heights_is_found_by_its_name(tmp_path, names):
    called, at = NAMED[names]
    path = tif(tmp_path / "dem.tif", np.stack([HEIGHTS, HEIGHTS + 7]).astype(np.float32), descriptions=called)
    np.testing.assert_allclose(read_quantity(path, "elevation").values, HEIGHTS + 7 * at, rtol=1e-6)


def test_of_named_bands_none_is_taken_by_its_place(tmp_path):
    stack = np.stack([HEIGHTS * 0 + 5, HEIGHTS]).astype(np.float32)
    path = tif(tmp_path / "dem.tif", stack, descriptions=("err", "band1"))
    with pytest.raises(DataError, match="has the bands err, band1, and which of them is meant") as refused:
        read_quantity(path, "elevation")
    assert refused.value.hint.startswith("call it 'elevation'")
    with rasterio.open(path, "r+") as mended:
        mended.set_band_description(2, "elevation")
    np.testing.assert_allclose(read_quantity(path, "elevation").values, HEIGHTS, rtol=1e-6)


@pytest.mark.parametrize(
    ("called", "quantity"), [("Thickness", "elevation"), ("slope", "elevation"), ("dem", "thickness")]
)
def test_a_band_called_as_another_quantity_is_refused_and_the_hint_works(tmp_path, called, quantity):
    """A raster of thickness given as elevation model made glaciers of its own."""
    path = tif(tmp_path / "a.tif", HEIGHTS.astype(np.float32), descriptions=(called,))
    with pytest.raises(DataError, match=f"is called {called.lower()}, and {quantity} is asked") as refused:
        read_quantity(path, quantity)
    assert "set_band_description" in refused.value.hint
    with rasterio.open(path, "r+") as mended:
        mended.set_band_description(1, quantity)
    assert read_quantity(path, quantity).valid.all()


def test_a_picture_of_bytes_is_no_elevation_model(tmp_path):
    shade = (1 + HEIGHTS % 250).astype(np.uint8)
    path = tif(tmp_path / "hillshade.tif", shade)
    with pytest.raises(DataError, match="a picture such as a hillshade") as refused:
        read_quantity(path, "elevation")
    assert "-units m" in refused.value.hint
    with rasterio.open(path, "r+") as mended:
        mended.units = ("m",)
    np.testing.assert_array_equal(
        read_quantity(path, "elevation").values, (1 + HEIGHTS % 250).astype(np.uint8)
    )


@pytest.mark.parametrize(("lowest", "sea"), [(500, False), (60, True), (-3, True)])
def test_zeros_among_mountains_are_no_ground_and_beside_a_shore_they_are_sea(tmp_path, lowest, sea):
    heights = (HEIGHTS - HEIGHTS[:, 6:].min() + lowest).astype(np.float32)
    heights[:, :6] = 0
    found = read_quantity(tif(tmp_path / "dem.tif", heights), "elevation")
    assert found.valid[:, :6].all() == found.valid[:, :6].any() == sea
    assert found.valid[:, 8:].all()
    assert ("undeclared nodata (0)" in "".join(found.notes)) is not sea


def _world_of_zeros() -> tuple[np.ndarray, np.ndarray]:
    """Heights: sea below an ice cliff in the west, a fjord's steep walls, a filled corner in the east."""
    rows, columns = np.indices((60, 80)).astype(float)
    heights = 55 + 9 * (columns - 20) + 2.5 * np.abs(rows - 30) ** 1.4
    sea = columns < 20
    fill = columns - rows > 60  # a border turned by 45 degrees among heights of 400 to 900 m
    return np.where(sea | fill, 0, heights), fill


def test_sea_stays_and_a_filled_corner_of_the_same_model_goes(tmp_path):
    heights, fill = _world_of_zeros()
    found = read_quantity(tif(tmp_path / "dem.tif", heights.astype(np.float32)), "elevation")
    rim = ndimage.binary_dilation(fill, iterations=2)
    np.testing.assert_array_equal(found.valid, ~rim)


def test_a_fill_above_a_deep_valley_goes_and_a_polder_stays(tmp_path):
    heights, fill = _world_of_zeros()
    inland = np.where((heights == 0) & ~fill, 60.0, heights)  # the lowest ground, 60 m, is far from the fill
    found = read_quantity(tif(tmp_path / "dem.tif", inland.astype(np.float32)), "elevation")
    assert not found.valid[fill].any()
    polder = np.random.default_rng(0).integers(-3, 4, (60, 80)) + np.where(heights > 300, 400, 0)
    polder[20:30, 30:40] = 0
    found = read_quantity(tif(tmp_path / "flat.tif", polder.astype(np.float32)), "elevation")
    assert found.valid.all()


@pytest.mark.parametrize(("name", "engine"), [("a.nc", "scipy"), ("a.h5", "h5netcdf"), ("A.NC", "h5netcdf")])
def test_netcdf_of_any_age_and_name(tmp_path, name, engine):
    import xarray as xr

    grid = GeoBox((ROWS, COLUMNS), NORTH, "EPSG:32643")
    field = xr.DataArray(HEIGHTS, dims=("y", "x"), attrs={"units": "m", "grid_mapping": "spatial_ref"})
    made = field.assign_coords(xr_coords(grid)).to_dataset(name="dem")
    made.assign(geoid=field * 0 + 50, snow=field > 0).to_netcdf(tmp_path / name, engine=engine)
    found = read_quantity(tmp_path / name, "elevation")
    np.testing.assert_allclose(found.values, HEIGHTS, rtol=1e-6)
    assert found.grid == grid
    np.testing.assert_array_equal(read_quantity(tmp_path / name, "label", band="snow").values, HEIGHTS > 0)


@pytest.mark.parametrize(
    ("about", "packing"),
    [
        ({"valid_range": np.array([0, 900], np.float32)}, {}),
        ({"valid_max": np.float32(900)}, {}),
        ({"valid_range": np.array([-32000, 4000], np.int16)}, {"dtype": "int16", "scale_factor": 0.1}),
        ({"valid_max": np.int16(4000)}, {"dtype": "int16", "scale_factor": 0.1}),
        ({"valid_range": np.array([0.0, 900.0])}, {"dtype": "int16", "scale_factor": 0.1}),
    ],
)
def test_what_lies_beyond_the_valid_range_of_a_variable_is_missing(tmp_path, about, packing):
    """By CF's rules: of a packed variable, a range of whole numbers is of the stored ones."""
    import xarray as xr

    packing = packing and packing | {"add_offset": 500.0, "_FillValue": -32768}
    field = xr.DataArray(HEIGHTS.astype(np.float32), dims=("y", "x"), attrs={"units": "m"} | about)
    made = field.assign_coords(xr_coords(GeoBox((ROWS, COLUMNS), NORTH, "EPSG:32643"))).to_dataset(name="dem")
    made.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"dem": packing})
    found = read_quantity(tmp_path / "a.nc", "elevation")
    np.testing.assert_array_equal(found.valid, HEIGHTS <= 900)
    np.testing.assert_allclose(found.values[found.valid], HEIGHTS[HEIGHTS <= 900], atol=0.06)


def test_a_packed_raster_is_to_be_unpacked(tmp_path):
    import gzip

    path = tif(tmp_path / "dem.tif", HEIGHTS.astype(np.float32))
    packed = tmp_path / "dem.tif.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError) as refused:
        read_quantity(packed, "elevation")
    assert refused.value.hint == "unpack it first"
    (tmp_path / "srtm.hgt").write_bytes(np.zeros((1201, 1201), ">i2").tobytes())
    with pytest.raises(DataError) as refused:
        read_quantity(tmp_path / "srtm.hgt", "elevation")
    assert "e.g. N46E010.hgt" in refused.value.hint
    (tmp_path / "srtm.hgt").rename(tmp_path / "N46E010.hgt")
    assert read_quantity(tmp_path / "N46E010.hgt", "elevation").valid.all()


@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 1), ("uint8", 8), ("uint16", 12), ("uint16", 16)])
def test_a_picture_whose_zero_is_white_has_the_same_brightness(tmp_path, dtype, bits):
    """TIFF's photometric interpretation 0; numbers of other quantities than pictures stay as they are."""
    top, shown = 2**bits - 1, np.rint((HEIGHTS - 500) / 650 * (2**bits - 1)).astype(dtype)
    about = {"nbits": bits} if bits not in (8, 16) else {}
    stored = np.where(OPEN == 0, top, top - shown).astype(dtype)
    path = tif(tmp_path / "p.tif", stored, photometric="MINISWHITE", nodata=top, **about)
    for quantity in ("grey", "label"):
        found = read_quantity(path, quantity)
        np.testing.assert_array_equal(found.valid, stored < top)
        np.testing.assert_array_equal(found.values[found.valid], shown[found.valid])
    signed = tif(tmp_path / "dem.tif", HEIGHTS.astype(np.int16), photometric="MINISWHITE")
    np.testing.assert_array_equal(read_quantity(signed, "elevation").values, HEIGHTS)
    quality = tif(tmp_path / "qa.tif", shown, photometric="MINISWHITE", **about)
    np.testing.assert_array_equal(read_quantity(quality, "quality").values, shown)


def test_one_moment_of_a_calendar_without_leap_days_is_a_time():
    import cftime
    import xarray as xr

    grid, moment = GeoBox((4, 5), NORTH, "EPSG:32643"), np.empty(1, object)
    moment[0] = cftime.DatetimeNoLeap(2022, 7, 1)
    coords = {"time": moment, **xr_coords(grid)}
    values = xr.DataArray(np.ones((1, 4, 5)), coords, ("time", *grid.dimensions))
    ((name, time, one),) = layers(xr.Dataset({"ndsi": values}), Path("a.nc"))
    assert (name, stamp(time), one.shape) == ("ndsi", "2022-07-01T00:00:00", (4, 5))


POLAR = {  # of EPSG:3413, as files of NSIDC state it: parameters alone, without crs_wkt
    "grid_mapping_name": "polar_stereographic", "latitude_of_projection_origin": 90.0,
    "standard_parallel": 70.0, "straight_vertical_longitude_from_pole": -45.0, "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563, "false_easting": 0.0, "false_northing": 0.0,
}  # fmt: skip
LOCAL = "+proj=tmerc +lat_0=0 +lon_0=10.76 +k=0.9996 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"


@pytest.mark.parametrize(
    ("mapping", "about", "crs", "place"),
    [
        (POLAR, {}, "EPSG:3413", (-200_000.0, -2_200_000.0)),
        ({}, {"pyproj_srs": LOCAL, "author": "OGGM"}, LOCAL, (-1_500.0, 5_190_000.0)),
        ({}, {"proj_srs": LOCAL}, LOCAL, (-1_500.0, 5_190_000.0)),
    ],
)
def test_netcdf_whose_crs_stands_in_parameters_or_in_an_attribute_of_the_file(
    tmp_path, mapping, about, crs, place
):
    x, y = place[0] + 30.0 * np.arange(COLUMNS), place[1] - 30.0 * np.arange(ROWS)
    named = {"grid_mapping": "mapping"} if mapping else {}
    data = xr.Dataset(
        {"surface": (("y", "x"), HEIGHTS.astype(np.float32), {"units": "m", **named})},
        {"x": x, "y": y, **({"mapping": ((), 0, mapping)} if mapping else {})},
        about,
    )
    data.to_netcdf(tmp_path / "dem.nc")
    found = read_quantity(tmp_path / "dem.nc", "elevation")
    np.testing.assert_allclose(found.values, HEIGHTS, rtol=1e-6)
    corner = found.grid.affine * (0.5, 0.5)
    back = Transformer.from_crs(found.grid.crs.to_wkt(), crs, always_xy=True).transform(*corner)
    np.testing.assert_allclose(back, place, atol=1e-3)


def test_a_netcdf_without_a_crs_is_opened_without_a_word(tmp_path, recwarn):
    values = (("y", "x"), HEIGHTS, {"grid_mapping": "spatial_ref"})
    data = xr.Dataset({"v": values}, {"spatial_ref": ((), 0, {"crs_wkt": "", "spatial_ref": ""})})
    data.to_netcdf(tmp_path / "v.nc")
    open_cube(tmp_path / "v.nc").close()
    assert not [str(one.message) for one in recwarn if "CRS" in str(one.message)]


def test_two_projections_in_one_netcdf_are_not_guessed_from(tmp_path):
    x, y = 30.0 * np.arange(COLUMNS), -30.0 * np.arange(ROWS)
    one, other = ((), 0, POLAR), ((), 0, POLAR | {"straight_vertical_longitude_from_pole": 0.0})
    heights = (("y", "x"), HEIGHTS.astype(np.float32), {"units": "m"})
    data = xr.Dataset({"surface": heights}, {"x": x, "y": y, "one": one, "other": other})
    data.to_netcdf(tmp_path / "dem.nc")
    with pytest.raises(DataError, match="states no CRS that is understood"):
        read_quantity(tmp_path / "dem.nc", "elevation")


def test_a_valid_range_of_three_numbers_is_none_and_text_is_no_map():
    place = xr_coords(GeoBox((ROWS, COLUMNS), NORTH, "EPSG:32643"))
    words = xr.DataArray(np.full((ROWS, COLUMNS), "cloud"), dims=("y", "x"))
    heights = xr.DataArray(HEIGHTS, dims=("y", "x"), attrs={"valid_range": np.array([600.0, 700.0, 800.0])})
    cube = xr.Dataset({"remark": words, "dem": heights}).assign_coords(place)
    ((name, time, one),) = layers(cube, Path("a.nc"))
    assert (name, time) == ("dem", None)
    np.testing.assert_array_equal(one, HEIGHTS)
