"""One reader: one scene stored in many ways gives the same values, and what contradicts them is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from icectl.errors import DataError
from icectl.raster import Numbers, Window, grid_of, read, read_on, read_quantity
from icectl.raster.kinds import KINDS

NORTH = Affine(30, 0, 500_000, 0, -30, 4_000_000)
SOUTH = Affine(30, 0, 500_000, 0, 30, 4_000_000 - 5 * 30)
HEIGHTS = (np.arange(30).reshape(5, 6) + 100).astype(np.int16)


def write(path, values, transform=NORTH, crs="EPSG:32643", **about):
    bands = values if values.ndim == 3 else values[np.newaxis]
    extra = {k: about.pop(k) for k in ("scales", "offsets", "units", "descriptions") if k in about}
    mask = about.pop("mask", None)
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver=about.pop("driver", "GTiff"), height=height, width=width, count=count,
        dtype=bands.dtype, crs=crs, transform=transform, **about,
    ) as file:  # fmt: skip
        file.write(bands)
        for name, value in extra.items():
            setattr(file, name, value)
        if mask is not None:
            file.write_mask(mask)
    return path


def test_south_up_is_read_north_up(tmp_path):
    north = write(tmp_path / "north.tif", HEIGHTS)
    south = write(tmp_path / "south.tif", HEIGHTS[::-1].copy(), SOUTH)
    west = write(tmp_path / "west.tif", HEIGHTS[:, ::-1].copy(), Affine(-30, 0, 500_180, 0, -30, 4_000_000))
    for turned in (south, west):
        assert grid_of(turned) == grid_of(north)
        np.testing.assert_array_equal(read(turned), HEIGHTS)
        np.testing.assert_array_equal(read(turned, Window(1, 2, 3, 3)), HEIGHTS[1:4, 2:5])
        np.testing.assert_array_equal(read_on(turned, grid_of(north)), HEIGHTS)


def test_a_rotated_raster_is_laid_north_up(tmp_path):
    rotated = Affine.translation(500_000, 4_000_000) * Affine.rotation(30) * Affine.scale(30, -30)
    values = np.full((40, 50), 7, np.uint8)
    path = write(tmp_path / "rotated.tif", values, rotated, nodata=0)
    field = read_quantity(path, "label")
    assert (field.grid.affine.b, field.grid.affine.e) == (0, pytest.approx(-30))
    assert field.values[field.valid].tolist() == [7] * int(field.valid.sum())
    assert field.valid.sum() == pytest.approx(40 * 50, rel=0.02)  # the same area


def test_numbers_of_nothing_are_those_of_the_file_and_those_that_are_stated(tmp_path):
    path = write(tmp_path / "classes.tif", np.array([[0, 1, 2], [3, 1, 0]], np.uint8), nodata=0)
    field = read_quantity(path, "label", numbers=Numbers(nodata=(2, 3)))
    np.testing.assert_array_equal(field.valid, [[False, True, False], [False, True, False]])


def test_scale_offset_and_unit_tags_count(tmp_path):
    stored = write(
        tmp_path / "dm.tif", (HEIGHTS * 10 - 50).astype(np.int16), scales=(0.1,), offsets=(5.0,), nodata=950
    )
    field = read_quantity(stored, "elevation")
    assert field.unit == "m"
    assert not field.valid[0, 0]
    assert np.isnan(field.values[0, 0])
    np.testing.assert_allclose(field.values.ravel()[1:], HEIGHTS.ravel()[1:], rtol=1e-6)
    feet = write(tmp_path / "feet.tif", (HEIGHTS / 0.3048).astype(np.float32), units=("ft",))
    np.testing.assert_allclose(read_quantity(feet, "elevation").values, HEIGHTS, rtol=1e-6)
    daily = write(tmp_path / "v.tif", np.ones((5, 6), np.float32), units=("m d-1",))
    assert read_quantity(daily, "velocity").values[0, 0] == 365
    with pytest.raises(DataError, match=r"stated in 'kelvin', which cannot be read as m"):
        read_quantity(write(tmp_path / "k.tif", HEIGHTS, units=("kelvin",)), "elevation")


def test_heights_on_a_grid_in_feet_are_refused_until_their_unit_is_stated(tmp_path):
    bare = write(tmp_path / "dem.tif", HEIGHTS, crs="EPSG:2263")  # New York, US survey feet
    with pytest.raises(DataError, match="is in feet by its CRS, and whether its heights are feet or metres"):
        read_quantity(bare, "elevation")
    stated = write(tmp_path / "stated.tif", HEIGHTS, crs="EPSG:2263", units=("ft",))
    np.testing.assert_allclose(read_quantity(stated, "elevation").values, HEIGHTS * 0.3048, rtol=1e-6)
    nowhere = write(tmp_path / "nowhere.tif", HEIGHTS, crs=None)  # of which no CRS says that it is in feet
    np.testing.assert_array_equal(read_quantity(nowhere, "elevation").values, HEIGHTS)


@pytest.mark.parametrize(
    ("name", "band", "quantity", "per"),
    [
        ("dem_ft", None, "elevation", 1 / 0.3048),
        ("dem", "Elevation (ft)", "elevation", 1 / 0.3048),
        ("dem_10_ft", None, "elevation", 1),  # the side of a pixel
        ("thickness_feet", None, "thickness", 1 / 0.3048),
        ("v", "vx [m/d]", "velocity", 1 / 365),
        ("speed_cm_per_day", None, "velocity", 1 / 3.65),
        ("speed_2018_m_yr", None, "velocity", 1),
        ("v", "v (m/month)", "velocity", 1 / 12),
    ],
)
def test_units_in_the_name_of_a_file_or_a_band_count_and_are_said(tmp_path, name, band, quantity, per):
    path = write(tmp_path / f"{name}.tif", (HEIGHTS * per).astype(np.float32), descriptions=(band,))
    field = read_quantity(path, quantity)
    np.testing.assert_allclose(field.values, HEIGHTS, rtol=1e-5)
    assert any("as its name says" in note for note in field.notes) == (per != 1)


def test_what_the_user_says_wins_over_the_tags(tmp_path):
    path = write(tmp_path / "b.tif", np.full((5, 6), 6000, np.uint16), scales=(0.5,), offsets=(3.0,))
    field = read_quantity(path, "reflectance", numbers=Numbers(scale=1e-4, offset=-0.1, nodata=[0]))
    assert field.values[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("how", ["internal mask", "alpha"])
def test_masks_of_any_kind(tmp_path, how):
    seen = np.ones((5, 6), np.uint8) * 255
    seen[:, :2] = 0
    values = np.full((5, 6), 50, np.uint8)
    if how == "alpha":
        path = write(tmp_path / "a.tif", np.stack([values, seen]), alpha="YES")
    else:
        path = write(tmp_path / "m.tif", values, mask=seen)
    field = read_quantity(path, "grey")
    np.testing.assert_array_equal(field.valid, seen > 0)
    on = read_quantity(path, "grey", grid=grid_of(path), resampling="nearest")
    np.testing.assert_array_equal(on.valid, seen > 0)


def test_undeclared_voids_are_missing_and_said(tmp_path):
    values = np.full((6, 12), 0.3, np.float32)
    values[:, :2] = -9999
    field = read_quantity(write(tmp_path / "r.tif", values), "reflectance")
    assert field.valid.mean() == pytest.approx(10 / 12)
    assert "16.7 % of the pixels hold no reflectance" in field.notes[0]
    assert "-9999" in field.notes[0]


def test_numbers_that_contradict_the_quantity_are_refused(tmp_path):
    values = np.linspace(1500, 10000, 30, dtype=np.float32).reshape(5, 6)
    path = write(tmp_path / "r.tif", values)
    with pytest.raises(DataError, match=r"between 1500 and 10000, which cannot be a share of one") as caught:
        read_quantity(path, "reflectance")
    assert "--scale" in (caught.value.hint or "")
    with pytest.raises(DataError, match=r"heights reach 10000, which cannot be metres \(perhaps feet\)"):
        read_quantity(path, "elevation")


def test_a_band_by_its_description(tmp_path):
    path = write(tmp_path / "s.tif", np.stack([HEIGHTS, HEIGHTS + 1]), descriptions=("B2", "Thickness"))
    assert read_quantity(path, "thickness").values[0, 0] == 101  # found by its name
    assert read_quantity(path, "grey", band="b2").values[0, 0] == 100
    with pytest.raises(DataError, match="has no band 'b3'"):
        read_quantity(path, "grey", band="b3")


def test_one_of_several_bands_without_names_is_said(tmp_path):
    """An error or a count beside a thickness was read as the thickness where it came first."""
    said = f"{tmp_path / 'two.tif'} has 2 bands without names: the first is read"
    two = write(tmp_path / "two.tif", np.stack([HEIGHTS, HEIGHTS + 1]))
    assert said in read_quantity(two, "thickness").notes
    assert said not in read_quantity(two, "thickness", band=1).notes
    one = write(tmp_path / "one.tif", HEIGHTS)
    named = write(tmp_path / "named.tif", np.stack([HEIGHTS, HEIGHTS + 1]), descriptions=("n", "thickness"))
    for path in (one, named):
        assert not [note for note in read_quantity(path, "thickness").notes if "bands" in note]


@pytest.mark.parametrize("kind", ["nc", "zarr", "km.nc"])
def test_netcdf_and_zarr_with_cf_georeference(tmp_path, kind):
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    grid = GeoBox((5, 6), NORTH, "EPSG:32643")
    coords = xr_coords(grid, "mapping")
    dem = xr.DataArray(
        HEIGHTS.astype(np.float32),
        dims=("y", "x"),
        coords=coords,
        attrs={"units": "m", "grid_mapping": "mapping"},
    )
    data = xr.Dataset({"elevation": dem}).isel(y=slice(None, None, -1))  # south up, as models write
    del data["mapping"].attrs["GeoTransform"]  # that of the rows' old order
    data["elevation"].encoding |= {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -1}
    path = tmp_path / f"dem.{kind}"
    if kind == "km.nc":  # as polar models are delivered
        for axis in ("x", "y"):
            data[axis] = (axis, data[axis].values / 1000, {**data[axis].attrs, "units": "km"})
    data.to_zarr(path, consolidated=False) if kind == "zarr" else data.to_netcdf(path, engine="h5netcdf")
    field = read_quantity(path, "elevation")
    np.testing.assert_allclose(field.values, HEIGHTS)
    assert field.grid == grid


def test_the_reference_page_has_every_quantity_with_its_bounds():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "raster.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "|" in line][2:]
    given = {
        name.strip("` "): (unit, low, high) for names, unit, low, high in rows for name in names.split(",")
    }
    assert set(given) == set(KINDS)
    for name, kind in KINDS.items():
        unit, *bounds = given[name]
        assert unit == (kind.unit or "none")
        if kind.unit:
            stated = [float(text.replace("−", "-").replace(",", "")) for text in bounds]
            assert stated == pytest.approx([kind.low, kind.high], rel=2e-3)


def test_the_second_band_has_its_own_scale_and_offset(tmp_path):
    path = write(tmp_path / "two.tif", np.stack([HEIGHTS, HEIGHTS]), scales=(1, 0.5), offsets=(0, 100))
    np.testing.assert_array_equal(read_quantity(path, "grey", band=2).values, 0.5 * HEIGHTS + 100)


def test_bands_of_a_virtual_raster_keep_their_own_type(tmp_path):
    write(tmp_path / "a.tif", HEIGHTS)
    write(tmp_path / "b.tif", (HEIGHTS / 7).astype(np.float64))
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for n, (kind, name) in enumerate((("Int16", "a"), ("Float64", "b")), 1)
    )
    place = "<SRS>EPSG:32643</SRS><GeoTransform>500000, 30, 0, 4000000, 0, -30</GeoTransform>"
    path = tmp_path / "both.vrt"
    path.write_text(f'<VRTDataset rasterXSize="6" rasterYSize="5">{place}{bands}</VRTDataset>')
    first, second = (read_on(path, grid_of(path), "nearest", band=n) for n in (1, 2))
    assert (first.dtype, second.dtype) == (np.int16, np.float64)
    np.testing.assert_array_equal(first, HEIGHTS)
    np.testing.assert_array_equal(second, HEIGHTS / 7)


@pytest.mark.parametrize(
    ("factor", "scales", "note"),
    [(1, (1.0,), 0), (1, (1e-4,), 1), (1e4, (1e-4,), 0)],
    ids=["shares", "shares whose scale was left in the file", "numbers to be scaled"],
)
def test_floating_reflectances_are_scaled_once(tmp_path, factor, scales, note):
    shares = np.linspace(0.02, 0.9, 30, dtype=np.float32).reshape(5, 6)
    path = write(tmp_path / "b3.tif", shares * np.float32(factor), scales=scales)
    found = read_quantity(path, "reflectance")
    np.testing.assert_allclose(found.values, shares, rtol=1e-6)
    said = f"{path} holds reflectances as they are: its scale and offset are left out"
    assert found.notes == (said,) * note


@pytest.mark.parametrize(
    ("shift", "hint"),
    [
        (0, "say what the numbers mean with --scale and --offset, e.g. --scale 0.01 for percent"),
        (-14, "write snow as 1 and other ground as 0, and declare what is neither nodata"),
    ],
    ids=["percents", "classes"],
)
def test_an_index_in_percent_and_one_of_classes_are_told_apart(tmp_path, shift, hint):
    whole = np.arange(30).reshape(5, 6) % 15 if shift else np.arange(30).reshape(5, 6) * 3
    path = write(tmp_path / "ndsi.tif", whole.astype(np.uint8))
    with pytest.raises(DataError) as refused:
        read_quantity(path, "index").notes  # noqa: B018
    assert refused.value.hint.startswith(hint)
