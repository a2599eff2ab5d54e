from __future__ import annotations

from datetime import date

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from scipy import ndimage

from icectl.errors import UsageError
from icectl.raster import grid_of, read, read_vectors, same_grid
from icectl.sources.catalogue import read_catalogue
from icectl.sources.synthetic import (
    World,
    write_dem,
    write_flow_scenes,
    write_front_scenes,
    write_snow_scenes,
)
from icectl.sources.synthetic.fjord import fjord
from icectl.sources.synthetic.landsat import Look, Sky, look, missing_wedge, numbers, quality, scan_line_gaps
from icectl.sources.synthetic.scenery import ndsi, reflectance, snow_line
from icectl.sources.synthetic.texture import origin, pattern
from icectl.sources.synthetic.weather import Weather, season


def physical(scene, asset):
    """Read a band as its reader would: number × scale + offset, masked where nothing is."""
    band = scene.band(asset)
    return read(scene.asset(asset)).astype("float64") * band.scale + band.offset


@pytest.fixture(scope="module")
def snow(alpine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("snow")
    return write_snow_scenes(alpine, folder, date(2019, 1, 1), date(2019, 7, 1), cloud=0.2)


def test_snow_scenes_are_catalogued_and_on_the_worlds_grid(alpine, snow):
    scenes = read_catalogue(snow)
    assert len(scenes) == 6
    for scene in scenes:
        assert set(scene.assets) == {"green", "swir16", "qa_pixel"}
        same_grid(grid_of(scene.asset("green")), alpine.grid)
        assert scene.id.startswith(("LC08_L2SP_999", "LE07_L2SP_999"))
        with rasterio.open(scene.asset("green")) as raster:
            assert (raster.dtypes[0], raster.nodata) == ("uint16", 0)


def test_ndsi_from_the_numbers_is_the_truth_within_noise(snow):
    with rasterio.open(snow / "truth" / "ndsi.tif") as raster:
        truth = dict(zip(raster.descriptions, raster.read(), strict=True))
    for scene in read_catalogue(snow):
        bits = read(scene.asset("qa_pixel")).filled(1)
        clear = (bits & 0b11011 == 0) & (bits >> 6 & 1 == 1)
        green, swir = physical(scene, "green").filled(0), physical(scene, "swir16").filled(0)
        bright = clear & (green + swir > 0.2)
        seen = ((green - swir) / np.where(bright, green + swir, 1.0))[bright]
        assert bright.sum() > 500
        error = np.abs(seen - truth[scene.id][bright])
        assert np.median(error) < 0.02
        assert np.percentile(error, 99) < 0.08


def test_numbers_round_to_half_a_step():
    values = np.linspace(-0.05, 1.1, 1001)[None, :]
    stored = numbers(values, np.ones_like(values, bool))
    assert np.abs(stored * 2.75e-05 - 0.2 - values).max() <= 0.5 * 2.75e-05 + 1e-12
    assert numbers(values, np.zeros_like(values, bool)).max() == 0


@pytest.mark.parametrize(
    ("sensor", "case", "value"),
    [  # values found in real Landsat 8 scenes; on Landsat 7 the same bits without a cirrus confidence
        (8, "clear", 21_824), (8, "water", 21_952), (8, "cloud", 22_280), (8, "shadow", 23_888),
        (8, "snow", 30_048), (8, "dilated", 21_762), (8, "fill", 1),
        (7, "clear", 5_440), (7, "water", 5_568), (7, "cloud", 5_896), (7, "shadow", 7_504),
        (7, "snow", 13_664),
        (7, "fill", 1),
    ],
)  # fmt: skip
def test_quality_bits_are_those_of_the_usgs_table(sensor, case, value):
    shape = (31, 31)
    on, off = np.ones(shape, bool), np.zeros(shape, bool)
    opacity, shadow = np.zeros(shape), np.zeros(shape)
    middle = (15, 15)
    if case in ("cloud", "dilated"):
        opacity[middle] = 1.0
    if case == "shadow":
        shadow[:] = 0.5
    sky = Sky(opacity, shadow, off if case == "fill" else on)
    acquired = Look(
        day=date(2020, 1, 1), sensor=sensor, reflectance={}, sky=sky, properties={},
        snow=on if case == "snow" else off, water=on if case == "water" else off,
    )  # fmt: skip
    assert quality(acquired)[(15, 17) if case == "dilated" else middle] == value


def test_scenes_are_the_same_for_the_same_seed(alpine, snow, tmp_path):
    again = write_snow_scenes(alpine, tmp_path, date(2019, 5, 1), date(2019, 6, 1), cloud=0.2)
    first = read_catalogue(again)[0]
    before = next(s for s in read_catalogue(snow) if s.time == first.time)
    for asset in ("green", "qa_pixel"):
        if before.properties["platform"] == first.properties["platform"]:
            assert np.array_equal(read(before.asset(asset)).data, read(first.asset(asset)).data)


def test_the_snow_line_has_seasons_and_years(alpine):
    summer, winter = snow_line(alpine, date(2018, 8, 10)), snow_line(alpine, date(2018, 2, 10))
    assert (summer - winter).mean() > 300
    years = [snow_line(alpine, date(y, 8, 10)).mean() for y in range(2012, 2022)]
    assert np.std(years) > 30
    assert season(date(2019, 8, 14), 2000, 3000) > 2950
    assert season(date(2019, 2, 14), 2000, 3000) < 2050


def test_next_year_is_not_the_year_before_but_follows_from_it():
    weather = Weather(0, (40, 40), 200.0, noise=0.0)
    series = np.array(
        [weather.departure(date(y, m, 15)).ravel()[::37] for y in range(2000, 2030) for m in range(1, 13)]
    )
    assert np.corrcoef(series[:-12].ravel(), series[12:].ravel())[0, 1] < 0.2
    past = np.stack([series[3 * k : 3 * k + 300].ravel() for k in range(4)], axis=1)
    future = series[9 + 6 : 9 + 6 + 300].ravel()
    known = past @ np.linalg.lstsq(past, future, rcond=None)[0]
    assert np.corrcoef(known, future)[0, 1] > 0.8


def test_snow_is_high_and_ndsi_bounded(alpine):
    day = date(2019, 8, 1)
    index = ndsi(reflectance(alpine, day, ("green", "swir16")))
    assert index.min() >= -1
    assert index.max() <= 1
    off_ice = ~alpine.glacier
    high = alpine.surface > np.quantile(alpine.surface[off_ice], 0.9)
    low = alpine.surface < np.quantile(alpine.surface[off_ice], 0.3)
    assert index[off_ice & high].mean() > 0.3 > index[off_ice & low].mean()


def test_clouds_cover_what_is_asked_and_shadows_fall_away_from_the_sun():
    sky = look(0, 5, (200, 200), 30.0, 0.3, azimuth=150.0, elevation=45.0)
    assert sky.cloud.mean() == pytest.approx(0.3, abs=0.02)
    shift = np.array(np.unravel_index(np.argmax(_correlate(sky.shadow, sky.opacity)), (200, 200)), float)
    shift = (shift + 100) % 200 - 100
    assert shift[0] < 0  # the sun stands in the south-east: shadows lie to the north
    assert shift[1] < 0  # and to the west


def _correlate(a, b):
    spectra = np.fft.fft2(a - a.mean()) * np.conj(np.fft.fft2(b - b.mean()))
    return np.fft.ifft2(spectra).real


def test_gaps_and_wedges_have_their_share():
    assert 0.12 < scan_line_gaps(0, 1, (300, 300)).mean() < 0.3
    assert 0.02 < missing_wedge(0, 1, (300, 300)).mean() < 0.5


def test_texture_rides_on_the_ice(tidewater):
    """Carrying a pattern there and back ends where it began; a tracked chip moves as the velocity says."""
    rows, columns = origin(tidewater, 120.0)
    back = origin(tidewater, -120.0)
    there = [ndimage.map_coordinates(axis, (rows, columns), order=1) for axis in back]
    grid = np.mgrid[: tidewater.shape[0], : tidewater.shape[1]]
    inner = ndimage.binary_erosion(tidewater.glacier, iterations=6)
    assert np.abs(np.array(there) - grid)[:, inner].max() < 0.3


def test_tracking_finds_the_velocity(tidewater):
    """Chips of the carried pattern, matched by OpenCV, move as far as the velocity says."""
    speed = np.hypot(tidewater.ice.vx, tidewater.ice.vy)
    inner = ndimage.binary_erosion(tidewater.glacier, iterations=2)
    day, lag, half = date(2016, 6, 1).toordinal(), 60, 8
    first, second = (pattern(tidewater, d).astype("float32") for d in (day, day + lag))
    errors = []
    for row in range(half + 8, 170, 6):
        for column in range(half + 8, 170, 6):
            chip = np.s_[row - half : row + half + 1, column - half : column + half + 1]
            if speed[row, column] < 60 or not inner[chip].all():
                continue
            window = second[row - half - 8 : row + half + 9, column - half - 8 : column + half + 9]
            score = cv2.matchTemplate(window, first[chip], cv2.TM_CCOEFF_NORMED)
            peak = np.unravel_index(np.argmax(score), score.shape)
            expected = -tidewater.ice.vy[row, column], tidewater.ice.vx[row, column]
            errors.append([p - 8 - e * lag / 365 / 30 for p, e in zip(peak, expected, strict=True)])
    assert len(errors) > 10
    assert np.median(np.abs(errors)) < 0.6  # whole-pixel peaks
    assert np.abs(np.mean(errors)) < 0.3


def test_flow_scenes_know_their_velocity(tidewater, tmp_path):
    write_flow_scenes(tidewater, tmp_path, frames=3, bands=("red", "nir08"), cloud=0.0)
    scenes = read_catalogue(tmp_path)
    assert set(scenes[0].assets) == {"red", "nir08", "qa_pixel", "qa_aerosol"}
    ice = read(tmp_path / "ice.tif").astype(bool)
    assert np.allclose(read(tmp_path / "truth" / "vx.tif")[ice], tidewater.ice.vx[ice], atol=1e-3)
    gaps = np.diff([s.time.toordinal() for s in scenes])
    assert (gaps % 8 == 0).all()
    assert (gaps > 0).all()
    level = read(scenes[0].asset("qa_aerosol")).data[0, 0] >> 6
    assert level in (1, 2, 3)
    with pytest.raises(UsageError, match="show no motion"):
        write_flow_scenes(tidewater, tmp_path, frames=1)


def test_front_separates_ice_from_water(tidewater, tmp_path):
    write_front_scenes(tidewater, tmp_path, date(2014, 3, 1), date(2014, 9, 1), cloud=0.0)
    scenes = read_catalogue(tmp_path)
    place = fjord(tidewater)
    assert len(scenes) >= 2
    for scene in scenes:
        line = read_vectors(scene.asset("front")).geometry.iloc[0]
        mask = read(scene.asset("mask")).data.astype(bool)
        day = scene.time.date()
        assert np.array_equal(mask, ~place.water(day))
        assert line.geom_type == "LineString"
        assert line.length > 500
        level = place.level(day)
        pixels = np.array([~tidewater.grid.affine @ p for p in line.coords])[:, ::-1] - 0.5
        at_line = ndimage.map_coordinates(level, pixels.T, order=1)
        assert np.abs(at_line).max() < 1.0  # metres: the line is where the level is zero
        ends = shapely.LineString(line).interpolate([0.25, 0.5, 0.75], normalized=True)
        for point in ends:
            column, row = (int(v) for v in ~tidewater.grid.affine @ (point.x, point.y))
            around = mask[row - 3 : row + 4, column - 3 : column + 4]
            assert around.any()
            assert not around.all()
    truth = read_vectors(tmp_path / "truth" / "fronts.gpkg")
    assert list(truth.id) == [s.id for s in scenes]
    assert read_vectors(tmp_path / "fjord.gpkg").geometry.area.sum() > 0


def test_the_front_advances_no_faster_than_the_ice(tidewater):
    place = fjord(tidewater)
    days = [date(2012, 1, 1).toordinal() + n for n in range(1500)]
    retreat = np.array([place.retreat(date.fromordinal(d)) for d in days])
    assert np.diff(retreat).min() >= -place.speed / 365.25 - 1e-9
    assert np.ptp(retreat) > 80
    with pytest.raises(UsageError, match="no calving front"):
        fjord(World(seed=0, shape=(64, 64)))


def test_the_dem_is_bed_and_thickness(alpine, tmp_path):
    write_dem(alpine, tmp_path)
    scene = read_catalogue(tmp_path)[0]
    bed, thickness = (read(tmp_path / "truth" / f"{n}.tif").data for n in ("bed", "thickness"))
    assert np.array_equal(read(scene.asset("dem")).data, bed + thickness)
    assert thickness.min() == 0.0
    table = read_vectors(scene.asset("outlines"))
    assert table.area_km2.to_numpy() == pytest.approx(table.geometry.area.to_numpy() / 1e6, rel=1e-6)
    assert table.rgi_id.is_unique
    assert table.rgi_id.str.fullmatch(r"RGI2000-v7\.0-G-99-\d{5}").all()
    covered = table.area_km2.sum() / (alpine.glacier.sum() * 900 / 1e6)
    assert 0.8 < covered <= 1.0


def test_measured_points_agree_with_the_truth(alpine, tmp_path):
    import geopandas
    import pandas

    write_dem(alpine, tmp_path, uncertainty=4.0)
    points = pandas.read_csv(tmp_path / "points.csv", dtype={"SURVEY_DATE": str})
    assert list(points.columns[:6]) == [
        "GlaThiDa_ID", "POLITICAL_UNIT", "GLACIER_NAME", "SURVEY_DATE", "PROFILE_ID", "POINT_ID",
    ]  # fmt: skip
    assert len(points) > 50
    assert not points.duplicated(["GlaThiDa_ID", "SURVEY_DATE", "PROFILE_ID", "POINT_ID"]).any()
    places = geopandas.GeoSeries(geopandas.points_from_xy(points.POINT_LON, points.POINT_LAT), crs=4326)
    places = places.to_crs(str(alpine.grid.crs))
    pixels = [~alpine.grid.affine @ (p.x, p.y) for p in places]
    truth = np.array([alpine.thickness[int(r), int(c)] for c, r in pixels])
    assert (truth > 0).all()
    assert np.std(points.THICKNESS - truth) == pytest.approx(4.0, rel=0.3)
