"""One physical scene written in drawn ways: each task finds the same index, area, volume, speed, distance.

The truth is a closed form on a plane around the place (azimuthal equidistant, true to scale within 1e-5);
files are written by rasterio and geopandas alone. A few draws run by default, 50 with ``-m slow``; how many,
``ICECTL_DRAWS`` says.
"""

from __future__ import annotations

import os
import shutil
import warnings

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from writing import tif

from icectl.errors import DataError
from icectl.raster import ground_metres, ground_steps, rasterize
from icectl.raster.vectors import read_vectors
from icectl.sources.folder import scan_folder
from icectl.tasks.bed.readers.dem import open_dem
from icectl.tasks.bed.readers.outlines import read_outlines
from icectl.tasks.flow.chips.frames import read_series
from icectl.tasks.flow.options import PredictOptions, PrepareOptions
from icectl.tasks.flow.velocity.measure import centres, measure
from icectl.tasks.front.files.compare import compare_fronts
from icectl.tasks.snow.masks.bands import SceneLayers
from icectl.tasks.snow.prepare import common_grid

MANY = pytest.param(
    int(os.environ.get("ICECTL_DRAWS", "50")), marks=[pytest.mark.slow, pytest.mark.timeout(1800)]
)
DRAWS = pytest.mark.parametrize("draws", [5, MANY], ids=["few", "many"])
PLACES = {  # longitude and latitude, and CRSs that people use there
    "Alps": (8.0, 46.5, ("EPSG:32632", "EPSG:2056", "EPSG:3857", "EPSG:4326", "EPSG:3035")),
    "Greenland": (-50.0, 70.5, ("EPSG:32622", "EPSG:3413", "EPSG:3857", "EPSG:4326", "EPSG:3995")),
    "Svalbard": (16.0, 78.5, ("EPSG:32633", "EPSG:3413", "EPSG:3857", "EPSG:4326", "EPSG:3575")),
    "Patagonia": (-73.3, -50.3, ("EPSG:32718", "EPSG:3857", "EPSG:4326", "EPSG:3031")),
    "Alaska, in feet": (-150.0, 61.0, ("EPSG:32606", "ESRI:102633", "EPSG:3338", "EPSG:3413")),
    "beside 180 degrees": (179.99, 66.5, ("EPSG:32660", "EPSG:3413", "EPSG:3576")),
}
LENGTHS = {"m": 1.0, "ft": 0.3048, "cm": 0.01, "": 1.0}


@st.composite
def ways(draw):
    """Where and how one field is written."""
    place = draw(st.sampled_from(sorted(PLACES)))
    lon, lat, codes = PLACES[place]
    return {
        "lon": lon,
        "lat": lat,
        "crs": draw(st.sampled_from(codes)),
        "side": draw(st.sampled_from([20.0, 25.0, 30.0])),
        "wider": draw(st.sampled_from([1.0, 1.0, 1.5])),
        "dtype": draw(st.sampled_from(["float32", "int16", "uint16"])),
        "south": draw(st.booleans()),
        "east": draw(st.booleans()),
        "before": draw(st.integers(0, 2)),
        "void": draw(st.sampled_from(["nodata", "mask", "none"])),
        "suffix": draw(st.sampled_from(["tif", "vrt", "nc"])),
        "unit": draw(st.sampled_from(sorted(LENGTHS))),
        "seed": draw(st.integers(0, 2**16)),
    }


def raster_of(how):
    """Return the way's format, GeoTIFF in place of a cube: that holds a series, not a band of a day."""
    return how["suffix"].replace("nc", "tif")


def many(draws):
    return settings(
        max_examples=draws, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )


class Way:
    """A grid in the way's CRS around its place, with the position of each pixel on the plane in metres."""

    def __init__(self, how, rows, columns):
        self.how, crs = how, how["crs"]
        plane = f"+proj=aeqd +lon_0={how['lon']} +lat_0={how['lat']} +datum=WGS84"
        self.to_plane = Transformer.from_crs(crs, plane, always_xy=True)
        self.from_plane = Transformer.from_crs(plane, crs, always_xy=True)
        x, y = self.from_plane.transform(0, 0)
        small = 1e-4 if crs == "EPSG:4326" else 1.0
        step = [
            np.hypot(*self.to_plane.transform(x + dx, y + dy)) / small for dx, dy in ((small, 0), (0, small))
        ]
        across, down = how["side"] * how["wider"] / step[0], how["side"] / step[1]
        corner = (x - across * columns / 2, y + down * rows / 2)
        self.transform = Affine(across, 0, corner[0], 0, -down, corner[1])
        col, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
        self.x, self.y = self.to_plane.transform(*(self.transform * (col, row)))

    def write(self, path, values, low, high, *, per=1.0, unit="", band="mine", void=None):
        """Write a field on the grid as the way says, with no number where `void` is."""
        how, values, transform = self.how, values / per, self.transform
        rows, columns = values.shape
        about = {"units": (unit,)} if unit else {}
        hole = np.zeros(values.shape, bool) if void is None or how["void"] == "none" else void
        dtype = np.dtype(how["dtype"])
        if dtype.kind != "f":
            scale, offset = (high - low) / per / 30_000, low / per
            values = np.rint((values - offset) / scale) + 1
            about |= {"scales": (scale,), "offsets": (offset - scale,)}
        if how["void"] == "nodata":
            about["nodata"] = -9999 if dtype.kind != "u" else 65535
            values = np.where(hole, about["nodata"], values)
        mask = np.where(hole, 0, 255).astype(np.uint8)
        if how["south"]:
            values, mask, transform = values[::-1], mask[::-1], transform @ Affine(1, 0, 0, 0, -1, rows)
        if how["east"]:
            values, mask, transform = (
                values[:, ::-1],
                mask[:, ::-1],
                transform @ Affine(-1, 0, columns, 0, 1, 0),
            )
        if how["void"] == "mask":
            about["mask"] = mask
        bands = [values.astype(dtype)]
        if path.suffix == ".nc":
            return self.write_cube(path, bands[0], band, transform, **about)
        bands = [np.full(values.shape, 7, dtype)] * how["before"] + bands
        about |= {"descriptions": (*(f"other{i}" for i in range(how["before"])), band)}
        about |= {k: about[k] * len(bands) for k in ("units", "scales", "offsets") if k in about}
        if path.suffix == ".vrt":
            import rasterio.shutil

            made = tif(
                path.parent / "src" / f"{path.stem}.tif", np.stack(bands), transform, how["crs"], **about
            )
            rasterio.shutil.copy(made, path, driver="VRT")
            return path
        return tif(path, np.stack(bands), transform, how["crs"], **about)

    def write_cube(
        self, path, values, band, transform, units=("",), scales=(1.0,), offsets=(0.0,), nodata=None, **_
    ):
        """Write NetCDF with packed numbers, coordinates and a grid mapping."""
        import xarray as xr
        from pyproj import CRS

        rows, columns = values.shape
        with warnings.catch_warnings():  # names of datums that CF has no word for
            warnings.simplefilter("ignore")
            crs = CRS.from_user_input(self.how["crs"]).to_cf()
        about = {
            "grid_mapping": "crs",
            "units": units[0],
            "scale_factor": scales[0],
            "add_offset": offsets[0],
        }
        data = xr.Dataset(
            {band: (("y", "x"), values, about), "crs": ((), 0, crs)},
            coords={
                "x": ("x", transform.c + transform.a * (np.arange(columns) + 0.5)),
                "y": ("y", transform.f + transform.e * (np.arange(rows) + 0.5)),
            },
        )  # fmt: skip
        fill = {"_FillValue": nodata}
        data.to_netcdf(path, engine="h5netcdf", encoding={band: fill if nodata is not None else {}})
        return path


def fresh(tmp_path):
    folder = tmp_path / "in"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@DRAWS
def test_area_and_volume_of_a_dome(draws, tmp_path):
    """Heights h₀ + a (1 − r²/R²) within R: an area of π R² and a volume of a π R² / 2 above h₀."""
    radius, height, base = 1000.0, 400.0, 600.0

    @many(draws)
    @given(ways())
    def check(how):
        folder, way = fresh(tmp_path), Way(how, 150, 150)
        heights = base + height * (1 - (way.x**2 + way.y**2) / radius**2)
        path = way.write(
            folder / f"dem.{how['suffix']}", heights, float(heights.min()), float(heights.max()),
            per=LENGTHS[how["unit"]], unit=how["unit"], band="elevation",
        )  # fmt: skip
        circle = shapely.Point(0, 0).buffer(radius, 64)
        circle = shapely.transform(circle, lambda xy: np.stack(way.from_plane.transform(*xy.T), 1))
        gpd.GeoDataFrame({"RGIId": ["RGI60-11.00001"]}, geometry=[circle], crs=how["crs"]).to_file(
            folder / "o.gpkg"
        )
        outlines = read_outlines(folder / "o.gpkg")
        if how["crs"] == "ESRI:102633" and not how["unit"]:  # in feet, and the heights may be as well
            with pytest.raises(DataError, match="whether its heights are feet or metres is not stated"):
                open_dem(path).around(outlines.geometries[0].bounds, outlines.crs, 100.0)
            return
        ground = open_dem(path).around(outlines.geometries[0].bounds, outlines.crs, 100.0)
        moved = gpd.GeoSeries(list(outlines.geometries), crs=outlines.crs).to_crs(str(ground.grid.crs))
        ice = rasterize(list(moved), ground.grid)
        pixel = ground_metres(ground.grid) ** 2
        assert ice.sum() * pixel == pytest.approx(np.pi * radius**2, rel=0.01)
        volume = float((ground.heights[ice] - base).sum()) * pixel
        assert volume == pytest.approx(height * np.pi * radius**2 / 2, rel=0.01)

    check()


@DRAWS
def test_index_and_snow_area(draws, tmp_path):
    """Green and short-wave infrared in waves over the plane; snow lies west of a line."""

    @many(draws)
    @given(ways())
    def check(how):
        folder, way = fresh(tmp_path), Way(how, 60, 60)
        edge = 100.0
        green = 0.5 + 0.2 * np.sin(way.x / 300) * np.cos(way.y / 250)
        swir = np.where(way.x < edge, 0.08, 0.4) + 0.02 * np.sin(way.y / 200)
        void = np.zeros(green.shape, bool)
        void[:6, :6] = True
        for name, values in (("green", green), ("swir16", swir)):
            way.write(folder / f"20220701_{name}.{raster_of(how)}", values, 0.0, 0.8, band=name, void=void)
        (scene,) = scan_folder(folder)
        grid = common_grid([scene])
        layers = SceneLayers(scene, grid)
        ours, other = layers.read().values()
        layers.notes()
        index = (ours - other) / (ours + other)
        wanted = (green - swir) / (green + swir)
        told = how["void"] != "none"
        assert (np.isfinite(index) == ~(void & told)).all()
        known = np.isfinite(index)
        np.testing.assert_allclose(index[known], wanted[known], atol=0.01)
        across, down = ground_steps(grid, *np.indices(grid.shape))
        area = float((across * down)[known & (index > 0.4)].sum())
        size = how["side"] ** 2 * how["wider"]
        assert area == pytest.approx(size * float((way.x < edge)[known].sum()), rel=0.01)

    check()


@DRAWS
def test_speed_of_a_moving_texture(draws, tmp_path):
    """Waves over the plane that are carried on by a vector in metres."""

    @many(draws)
    @given(ways(), st.floats(150, 240), st.floats(0, 2 * np.pi))
    def check(how, metres, bearing):
        from types import SimpleNamespace

        folder, way = fresh(tmp_path), Way({**how, "wider": 1.0}, 96, 112)
        rng = np.random.default_rng(how["seed"])
        lengths, turns = rng.uniform(120, 500, 60), rng.uniform(0, 2 * np.pi, (2, 60))
        waves = [2 * np.pi / lengths * np.cos(turns[0]), 2 * np.pi / lengths * np.sin(turns[0])]
        for day, share in (("20190101", 0.0), ("20190202", 1.0)):
            x, y = way.x - share * metres * np.sin(bearing), way.y - share * metres * np.cos(bearing)
            grey = sum(np.cos(a * x + b * y + c) for a, b, c in zip(*waves, turns[1], strict=True))
            plain = {**how, "before": 0}
            way.how = plain
            way.write(
                folder / f"{day}_nir08.{raster_of(how)}", 1000 + 60 * grey, -3000.0, 5000.0, band="nir08"
            )
        scenes = scan_folder(folder, georeferenced=False, minimum=2)
        quiet = SimpleNamespace(progress=Silent, warn=lambda said: None)
        series = read_series(quiet, scenes, PrepareOptions())
        options = PredictOptions(velocity_chip=32, spacing=32)
        frames = series.values.mean(axis=1)
        cells = centres(frames.shape[1:], options)
        cloud = np.zeros(series.valid.shape, bool)
        days = np.array([0, 32], np.float32)
        steps = ground_steps(series.grid, cells[..., 0], cells[..., 1])
        found = measure(frames, series.valid, cloud, None, days, steps, options)
        speed = float(np.nanmedian(np.hypot(found.vx, found.vy)))
        assert speed == pytest.approx(metres / 32 * 365, rel=0.01)
        assert float(np.nanmedian(found.vy)) * np.cos(bearing) > -0.2 * speed or "EPSG:3" in how["crs"]

    check()


class Silent:
    """Progress of which nothing is shown."""

    def __init__(self, *said, **more):
        pass

    def __enter__(self):
        return lambda *steps: None

    def __exit__(self, *error):
        return None


@DRAWS
def test_distance_of_two_fronts(draws, tmp_path):
    """Two parallel lines on the plane, in any format, CRS, order, number of parts and of dimensions."""
    forms = st.sampled_from(["gpkg", "geojson", "shp", "fgb"])

    @many(draws)
    @given(ways(), forms, st.floats(100, 2500), st.floats(0, np.pi), st.booleans(), st.booleans())
    def check(how, form, apart, bearing, split, turned):
        folder, way = fresh(tmp_path), Way(how, 10, 10)
        along = np.array([np.sin(bearing), np.cos(bearing)])
        paths = []
        for number, shift in enumerate((0.0, apart)):
            points = np.linspace(-1500, 1500, 31)[:, None] * along + shift * along[::-1] * (1, -1)
            places = np.stack(way.from_plane.transform(*points.T), 1)
            places = places[::-1] if turned and number else places
            line = shapely.LineString(np.column_stack([places, np.full(31, 12.0)]) if split else places)
            if split:
                line = shapely.MultiLineString([line.coords[:16], line.coords[15:]])
            frame = gpd.GeoDataFrame({"Date": ["2020-07-01"]}, geometry=[line], crs=how["crs"])
            paths.append(folder / f"{number}.{form}")
            (frame.to_crs("EPSG:4326") if form == "geojson" else frame).to_file(paths[-1])
            assert len(read_vectors(paths[-1])) == 1
        table = compare_fronts(*paths)
        assert table.rows[0].values["median_m"] == pytest.approx(apart, rel=0.01)

    check()
