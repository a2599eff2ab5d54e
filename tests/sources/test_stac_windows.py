"""Only the windows of the area are read, as they are, and put on one grid."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from landsat_archive import BANDS, FIRST, HASTY, glacier, qa, run_in, values
from servers import (
    GRID,
    OLI,
    stac_api,
    write_source,
)

from icectl.errors import DataError
from icectl.raster import grid_of, read
from icectl.sources.catalogue import read_catalogue
from icectl.sources.options import SceneQuery
from icectl.sources.stac import estimate_fetch, fetch_scenes


def test_the_windows_of_the_area_are_fetched_as_they_are(archive, fetch, files, tmp_path):
    names = [archive.add(number) for number in range(3)]
    scenes = read_catalogue(fetch())
    assert [scene.id for scene in scenes] == names
    assert scenes[0].time == FIRST
    for number, scene in enumerate(scenes):
        assert set(scene.assets) == set(BANDS)
        for band in BANDS:
            grid = grid_of(scene.asset(band))
            assert grid.affine.c % 30 == 15  # the half pixel of Landsat's grid
            assert grid.affine.f % 30 == 15
            source = files.root / f"{scene.id}_{OLI[band]}.TIF"
            with rasterio.open(source) as src:
                window = rasterio.windows.from_bounds(*grid.boundingbox.bbox, transform=src.transform)
                want = src.read(1, window=window.round_offsets().round_lengths())
            got = read(scene.asset(band))
            np.testing.assert_array_equal(got.data, want, err_msg=f"{number} {band}")
        assert scene.band("green").scale == 2.75e-05
        assert scene.band("green").offset == -0.2
        assert scene.band("qa_pixel").scale is None
    assert scenes[0].properties["platform"] == "landsat-8"
    assert scenes[0].properties["icectl:cloud"] == 0
    assert [path.name for path in tmp_path.glob("out/.*")] == [".icectl"]


def test_only_the_window_is_read_from_each_file(archive, fetch, files):
    name = archive.add(0, shape=(1500, 1400))
    noise = np.random.default_rng(0).integers(1, 65535, (1500, 1400)).astype("uint16")
    write_source(files.root / f"{name}_SR_B3.TIF", noise)
    write_source(files.root / f"{name}_QA_PIXEL.TIF", noise & ~np.uint16(15) | 64, nodata=1)
    fetch()
    size = (files.root / f"{name}_SR_B3.TIF").stat().st_size
    assert 0 < files.bytes_of("SR_B3") < 0.1 * size
    assert 0 < files.bytes_of("QA_PIXEL") < 0.1 * size
    assert files.bytes_of("SR_B5|AEROSOL") == 0  # bands nobody asked for


def test_frames_of_a_pass_fill_each_others_gaps(archive, fetch, files):
    for number, (name, columns) in enumerate([("a", slice(0, 120)), ("b", slice(120, None))]):
        archive.add(
            number, name=name, time=FIRST, path_row=("147", f"03{number}"), created=f"202{9 - number}-01-01"
        )
        for band, layer in OLI.items():
            array = qa() if band == "qa_pixel" else values(number, band)
            array[:, columns] = 1 if band == "qa_pixel" else 0
            write_source(files.root / f"{name}_{layer}.TIF", array, nodata=1 if band == "qa_pixel" else 0)
    scene = read_catalogue(fetch())[0]
    assert scene.properties["icectl:missing"] == 0
    got = read(scene.asset("green"))
    corner = grid_of(scene.asset("green")).affine
    row, col = round((GRID.f - corner.f) / 30), round((corner.c - GRID.c) / 30)
    part = slice(row, row + got.shape[0]), slice(col, col + got.shape[1])
    want = np.concatenate([values(1, "green")[:, :120], values(0, "green")[:, 120:]], axis=1)[part]
    np.testing.assert_array_equal(got, want)


def test_mixed_zones_are_refused_and_resampled_when_one_is_chosen(archive, fetch, tmp_path):
    archive.add(0)
    archive.add(1)
    other = Affine(30, 0, 34_515, 0, -30, 3_577_515)  # the same ground in the next zone
    archive.add(2, epsg=32644, transform=other)
    with pytest.raises(DataError, match=r"several zones: EPSG:32643 \(6\), EPSG:32644 \(3\)") as refused:
        fetch()
    assert 'crs = "EPSG:32643"' in refused.value.hint
    out = fetch(run_in(tmp_path / "chosen", glacier(crs="EPSG:32643", resolution=30)), max_missing=100)
    grids = {grid_of(scene.asset("green")) for scene in read_catalogue(out)}
    assert len(read_catalogue(out)) == 3
    assert len(grids) == 1
    assert read(read_catalogue(out)[2].asset("green")).count() > 1000


def test_an_estimate_counts_and_reads_no_pixel(archive, files, tmp_path):
    for number in range(4):
        archive.add(number)
    run = run_in(tmp_path / "out")
    with stac_api(archive.items, tmp_path / "stac") as url:
        estimate = estimate_fetch(run, SceneQuery(api=url), BANDS, patience=HASTY)
        assert files.seen == []
        assert [path.name for path in run.out.iterdir()] == [".icectl"]
        fetch_scenes(run, SceneQuery(api=url), BANDS, patience=HASTY)
    assert "4 scenes of landsat-c2-l2" in estimate.note
    pixels = sum(read(scene.asset(band)).size for scene in read_catalogue(run.out) for band in BANDS)
    assert estimate.downloads == pytest.approx(2 * pixels, rel=0.05)
