"""Fetching from a real STAC server (`rustac serve`) over COGs that a loopback server hands out by ranges."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from servers import (
    BOX,
    EPSG,
    GRID,
    OLI,
    SECRET,
    SHAPE,
    TM,
    Fault,
    FileServer,
    landsat_item,
    stac_api,
    write_source,
)

from icectl.contract import Plugin
from icectl.errors import DataError, UsageError, WorkError
from icectl.raster import grid_of, read
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.catalogue import read_catalogue
from icectl.sources.options import SceneQuery
from icectl.sources.remote import Patience
from icectl.sources.stac import estimate_fetch, fetch_scenes

FIRST = datetime(2019, 6, 1, 5, 20, tzinfo=UTC)
BANDS = ("green", "swir16", "qa_pixel")
HASTY = Patience(timeout=2, attempts=3, backoff=0.01, parallel=3)
CLEAR, CLOUD, FILL = 21824, 22280, 1
"""Real QA_PIXEL numbers: clear land, high-confidence cloud, fill."""


def glacier(**changes: Any) -> Glacier:
    return Glacier(**{"name": "here", "bbox": BOX, **changes})


def run_in(folder: Path, place: Glacier | None = None, **changes: Any) -> Run:
    plugin = Plugin(name="x", summary="", task="snow", model="x:y", stages={})
    folder.mkdir(parents=True, exist_ok=True)
    return Run(verb="fetch", plugin=plugin, glacier=place or glacier(), out=folder, quiet=True, **changes)


def values(number: int, band: str) -> np.ndarray:
    """Pixels of a scene: different for each scene, band and place, never zero."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (7000 + 500 * number + 37 * len(band) + rows * 13 + columns).astype("uint16")


def qa(cloud_rows: int = 0, fill_columns: int = 0) -> np.ndarray:
    flags = np.full(SHAPE, CLEAR, "uint16")
    flags[:cloud_rows] = CLOUD
    flags[:, :fill_columns] = FILL
    return flags


class Archive:
    """Scenes on a file server, and the items that describe them."""

    def __init__(self, files: FileServer) -> None:
        self.files, self.items = files, []

    def add(self, number: int, *, qa_pixel: np.ndarray | None = None, bands=OLI, **item: Any) -> str:
        name = item.pop("name", f"LC08_L2SP_147038_{number:04d}_02_T1")
        time = item.pop("time", FIRST + timedelta(days=16 * number))
        grid = {"epsg": item.get("epsg", EPSG), "transform": item.get("transform", GRID)}
        for band in bands:
            array = (qa() if qa_pixel is None else qa_pixel) if band == "qa_pixel" else values(number, band)
            write_source(
                self.files.root / f"{name}_{bands[band]}.TIF",
                array,
                nodata=1 if band == "qa_pixel" else 0,
                **grid,
            )
        self.items.append(landsat_item(name, time, item.pop("href", self.files.url), bands=bands, **item))
        return name


@pytest.fixture
def files(tmp_path: Path):
    with FileServer(tmp_path / "archive") as server:
        server.root.mkdir()
        yield server


@pytest.fixture
def archive(files: FileServer) -> Archive:
    return Archive(files)


@pytest.fixture
def fetch(archive: Archive, tmp_path: Path):
    """Start the STAC server over the archive and fetch from it."""

    def call(run: Run | None = None, bands=BANDS, patience: Patience = HASTY, **query: Any) -> Path:
        with stac_api(archive.items, tmp_path / "stac") as url:
            return fetch_scenes(
                run or run_in(tmp_path / "out"), SceneQuery(api=url, **query), bands, patience=patience
            )

    return call


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
    assert not list(tmp_path.glob("out/.*"))


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


def test_filters_of_the_catalogue_and_of_the_pixels_are_counted(archive, fetch, tmp_path):
    archive.add(0, time=datetime(2012, 7, 1, tzinfo=UTC))
    archive.add(1, platform="landsat-9")
    archive.add(2, time=datetime(2019, 12, 1, tzinfo=UTC))
    archive.add(3, path_row=("146", "038"))
    archive.add(4, qa_pixel=qa(cloud_rows=SHAPE[0]))
    archive.add(5, qa_pixel=qa(fill_columns=SHAPE[1]))
    kept = archive.add(6)
    place = glacier(wrs2=(147, 38))
    run = run_in(tmp_path / "out", place)
    fetch(run, start=date(2018, 1, 1), season="5-9", platform=("Landsat-8",), same_track=True)
    assert [scene.id for scene in read_catalogue(run.out)] == [kept]
    assert run.notes["fetch"]["left_out"] == {
        "of other platforms": 1,
        "outside the season": 1,
        "of other paths and rows": 1,
        "too cloudy in the area": 1,
        "with too many missing pixels in the area": 1,
    }
    assert sorted(f.name for f in run.out.iterdir()) == [kept, "items.json"]


def test_shares_are_measured_inside_the_outline(archive, fetch, tmp_path):
    """The box is half under cloud; the outline lies in its clear half."""
    import geopandas as gpd
    import shapely

    archive.add(0, qa_pixel=qa(cloud_rows=130))
    west, south, east, _ = BOX
    outline = tmp_path / "outline.gpkg"
    low = shapely.box(west + 0.005, south + 0.002, east - 0.005, south + 0.012)
    gpd.GeoDataFrame(geometry=[low], crs="EPSG:4326").to_file(outline)
    with pytest.raises(DataError, match="1 too cloudy in the area") as refused:
        fetch()
    assert "--max-cloud" in refused.value.hint
    fetch(run_in(tmp_path / "outlined", glacier(outline=outline)))
    scene = read_catalogue(tmp_path / "outlined")[0]
    assert scene.properties["icectl:cloud"] == 0
    fetch(run_in(tmp_path / "lenient"), max_cloud=80)
    assert 20 < read_catalogue(tmp_path / "lenient")[0].properties["icectl:cloud"] < 80


def test_nothing_left_says_which_filter_took_how_many(archive, fetch):
    for number in range(3):
        archive.add(number, qa_pixel=qa(cloud_rows=SHAPE[0]))
    with pytest.raises(
        DataError, match=r"no scene of landsat-c2-l2 is left for here: 3 found, of which 3 too cloudy"
    ):
        fetch()
    with pytest.raises(DataError, match="3 found, of which 3 outside the season") as refused:
        fetch(season="1")
    assert "season" in refused.value.hint
    with pytest.raises(DataError, match="0 found"):
        fetch(start=date(2001, 1, 1), end=date(2002, 1, 1))


def test_an_all_cloud_frame_is_kept_where_cloud_is_allowed(archive, fetch):
    archive.add(0, qa_pixel=qa(cloud_rows=SHAPE[0]))
    assert len(read_catalogue(fetch(max_cloud=100))) == 1


def test_items_without_the_asset_are_named_with_what_they_have(archive, fetch):
    archive.add(0, bands=TM, name="LT05_a")
    with pytest.raises(DataError, match="1 without the assets asked for") as refused:
        fetch(bands=("green", "qa_aerosol"))
    assert "qa_aerosol" in refused.value.hint
    assert "swir16" in refused.value.hint
    archive.add(1)
    assert len(read_catalogue(fetch(bands=("green", "qa_aerosol")))) == 1


def test_duplicates_of_a_day_are_dropped_and_frames_of_a_pass_joined(archive, fetch, tmp_path):
    night = {"time": FIRST, "landsat:collection_category": "RT"}
    archive.add(0, name="early_RT", **night)
    best = archive.add(1, name="final_T1", time=FIRST)
    half = qa(fill_columns=140)
    archive.add(
        2, name="next_row", time=FIRST + timedelta(seconds=24), path_row=("147", "039"), qa_pixel=half
    )
    run = run_in(tmp_path / "out")
    fetch(run)
    scenes = read_catalogue(run.out)
    assert [scene.id for scene in scenes] == [best]
    assert scenes[0].properties["icectl:items"] == [best, "next_row"]
    assert run.notes["fetch"]["left_out"] == {"duplicates of one day": 1}


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


@pytest.mark.parametrize("href", ["file:///etc", "s3://usgs-landsat", "/vsicurl/http://x", "ftp://x"])
def test_foreign_links_are_refused(archive, fetch, href):
    archive.add(0, href=href)
    archive.items[0]["links"] = []
    with pytest.raises(DataError, match="which is no http"):
        fetch()


def test_an_alternate_web_address_is_taken_for_a_foreign_one(archive, fetch, files):
    name = archive.add(0, href="s3://usgs-landsat")
    for band, asset in archive.items[0]["assets"].items():
        asset["alternate"] = {"https": {"href": f"{files.url}/{name}_{OLI[band]}.TIF"}}
    assert len(read_catalogue(fetch())) == 1


def test_a_file_that_is_no_geotiff_is_not_opened(archive, fetch, files, tmp_path):
    """A VRT could name any file of this machine; GDAL must not be tempted."""
    name = archive.add(0)
    mine = write_source(tmp_path / "mine.tif", values(0, "green"))
    text = f'<VRTDataset rasterXSize="280" rasterYSize="300"><SRS>EPSG:{EPSG}</SRS>'
    text += "<GeoTransform>600015, 30, 0, 3570015, 0, -30</GeoTransform>"
    text += '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
    text += f"<SourceFilename>{mine}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    (files.root / f"{name}_SR_B3.TIF").write_text(text)
    with pytest.raises(WorkError, match="1 of 1 scenes could not be fetched"):
        fetch()


def test_an_id_that_is_a_path_is_refused(archive, fetch, tmp_path):
    archive.add(0, name="ok")
    archive.items[0]["id"] = "../evil"
    with pytest.raises(DataError, match="cannot name a file"):
        fetch()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("kind", "least"), [(429, 0), (500, 0), (503, 0), ("reset", 0), ("cut", 0), ("cut", 20_000)]
)
def test_faults_that_pass_are_survived(archive, fetch, files, kind, least):
    archive.add(0)
    files.faults.append(Fault(kind, match="SR_B3", times=2, least=least))
    scene = read_catalogue(fetch())[0]
    assert files.faults[0].times == 0
    assert read(scene.asset("green")).count() > 15_000


@pytest.mark.parametrize("kind", [403, 404, 429, 500, "hang", "reset", "cut"])
def test_faults_that_stay_end_in_a_sentence_and_lose_nothing(archive, fetch, files, tmp_path, kind):
    good, bad = archive.add(0), archive.add(1)
    files.faults.append(Fault(kind, match=f"{bad}_SR_B3"))
    quick = dataclasses.replace(HASTY, timeout=1, attempts=2)
    with pytest.raises(WorkError, match=f"1 of 2 scenes could not be fetched .*{bad}, green") as refused:
        fetch(patience=quick)
    assert refused.value.hint
    files.faults.clear()
    before = files.bytes_of(good)
    scenes = read_catalogue(fetch())
    assert len(scenes) == 2
    assert files.bytes_of(good) == before  # the second time only asks for what is missing
    for scene in scenes:
        assert read(scene.asset("green")).count() > 15_000


def test_a_cut_range_never_becomes_nodata(archive, fetch, files):
    """Uncompressed tiles would decode however many bytes came."""
    name = archive.add(0)
    write_source(files.root / f"{name}_SR_B3.TIF", values(0, "green"), compress="NONE")
    files.faults.append(Fault("cut", match="SR_B3", least=1))
    with pytest.raises(WorkError, match="could not be fetched"):
        fetch()


def test_a_damaged_source_is_told(archive, fetch, files):
    name = archive.add(0)
    path = files.root / f"{name}_SR_B3.TIF"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\0" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(WorkError, match=f"{name}, green"):
        fetch()


def test_a_server_that_is_down_is_told_with_a_way_out(tmp_path):
    from servers import free_port

    query = SceneQuery(api=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(WorkError, match="cannot be searched") as refused:
        fetch_scenes(run_in(tmp_path), query, BANDS, patience=HASTY)
    assert "--scenes" in refused.value.hint


@pytest.mark.parametrize("kind", [404, 429, 500, "hang", "reset"])
def test_a_catalogue_that_misbehaves_is_told(files, tmp_path, kind):
    files.faults.append(Fault(kind))
    quick = dataclasses.replace(HASTY, timeout=0.5, attempts=2)
    with pytest.raises(WorkError, match="cannot be searched"):
        fetch_scenes(run_in(tmp_path), SceneQuery(api=files.url), BANDS, patience=quick)


def test_what_is_no_catalogue_is_told(files, tmp_path):
    (files.root / "page.html").write_text("<html>hello</html>")
    with pytest.raises(WorkError, match="cannot be searched"):
        fetch_scenes(run_in(tmp_path), SceneQuery(api=f"{files.url}/page.html"), BANDS, patience=HASTY)


def test_a_collection_that_is_not_there_leaves_nothing(archive, fetch):
    archive.add(0)
    with pytest.raises((DataError, WorkError), match="landsat-c9"):
        fetch(collection="landsat-c9")


def test_a_glacier_without_a_place_and_other_sources_are_refused(tmp_path):
    with pytest.raises(UsageError, match="neither a box nor an outline"):
        fetch_scenes(run_in(tmp_path, Glacier(name="nowhere")), SceneQuery(), BANDS)
    with pytest.raises(UsageError, match="'synthetic'"):
        fetch_scenes(run_in(tmp_path), SceneQuery(source="synthetic"), BANDS)
    with pytest.raises(UsageError, match="no WRS-2"):
        fetch_scenes(run_in(tmp_path), SceneQuery(same_track=True), BANDS)


def test_a_limit_spreads_over_the_dates(archive, fetch):
    names = [archive.add(number) for number in range(6)]
    assert [scene.id for scene in read_catalogue(fetch(limit=3))] == names[::2]


def test_an_estimate_counts_and_reads_no_pixel(archive, files, tmp_path):
    for number in range(4):
        archive.add(number)
    run = run_in(tmp_path / "out")
    with stac_api(archive.items, tmp_path / "stac") as url:
        estimate = estimate_fetch(run, SceneQuery(api=url), BANDS, patience=HASTY)
        assert files.seen == []
        assert list(run.out.iterdir()) == []
        fetch_scenes(run, SceneQuery(api=url), BANDS, patience=HASTY)
    assert "4 scenes of landsat-c2-l2" in estimate.note
    pixels = sum(read(scene.asset(band)).size for scene in read_catalogue(run.out) for band in BANDS)
    assert estimate.downloads == pytest.approx(2 * pixels, rel=0.05)


def signed_archive(archive: Archive, files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the files under a blob storage's name: GDAL reaches it through the server as its proxy."""
    from icectl.sources.signing import _sas

    files.sign = True
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{files.url}/token")
    monkeypatch.setenv("GDAL_HTTP_PROXY", files.url)
    _sas().TOKEN_CACHE.clear()
    _sas().Settings.get.cache_clear()
    for number in range(2):
        archive.add(number, href="http://landsateuwest.blob.core.windows.net/landsat-c2")
    (files.root / "landsat-c2").mkdir()
    for path in files.root.glob("*.TIF"):
        shutil.move(path, files.root / "landsat-c2" / path.name)


def test_links_are_signed_and_secrets_stay_out_of_sight(
    archive, fetch, files, monkeypatch, caplog, capfd, tmp_path
):
    signed_archive(archive, files, monkeypatch)
    run = run_in(tmp_path / "out")
    with caplog.at_level(logging.DEBUG):
        fetch(run)
    assert len(read_catalogue(run.out)) == 2
    assert len(files.tokens) == 1  # one token serves all files of a container
    out, err = capfd.readouterr()
    said = out + err + caplog.text + json.dumps(run.notes, default=str)
    for path in run.out.rglob("*"):
        said += path.read_bytes().decode("latin-1") if path.is_file() else ""
    assert SECRET not in said


def test_a_link_that_expired_is_signed_again(archive, fetch, files, monkeypatch):
    signed_archive(archive, files, monkeypatch)
    expired = files.new_token()
    files.tokens.clear()

    from icectl.sources.signing import _sas

    address = f"{files.url}/token/landsateuwest/landsat-c2"
    _sas().TOKEN_CACHE[address] = _sas().SASToken(**expired)
    assert len(read_catalogue(fetch())) == 2
    assert len(files.tokens) == 1
    assert any(seen.status == 403 for seen in files.seen)


def test_refused_for_good_names_the_scene_without_the_secret(
    archive, fetch, files, monkeypatch, caplog, capfd, tmp_path
):
    signed_archive(archive, files, monkeypatch)
    files.token_life = -1.0  # every token has already expired
    with pytest.raises(WorkError, match="2 of 2 scenes could not be fetched") as refused:
        fetch()
    chain, error = "", refused.value
    while error is not None:  # what --debug would print
        chain += str(error)
        error = error.__cause__ or error.__context__
    out, err = capfd.readouterr()
    assert "403" in refused.value.message
    assert SECRET not in chain + out + err + caplog.text
    assert not any(SECRET in f.read_text("latin-1") for f in tmp_path.glob("out/**/*") if f.is_file())


def test_signed_links_of_a_catalogue_are_asked_for_again(archive, fetch, files, monkeypatch):
    """A private catalogue hands out links with signatures of its own; a new search brings new ones."""
    from icectl.sources import download

    files.sign = True
    archive.add(0)
    token = files.new_token()["token"]
    asked = []

    def fresh(client, service, collection, ids):
        asked.append(ids)
        items = download_fresh(client, service, collection, ids)
        for item in items.values():
            for asset in item.assets.values():
                asset.href += f"?{token}"
        return items

    download_fresh = download.fresh
    monkeypatch.setattr(download, "fresh", fresh)
    assert len(read_catalogue(fetch())) == 1
    assert asked


def test_a_token_service_that_fails_is_told(archive, fetch, files, monkeypatch):
    signed_archive(archive, files, monkeypatch)
    files.faults.append(Fault(500, match="/token/"))
    with pytest.raises(WorkError, match="no signature for links of landsateuwest"):
        fetch()


def test_sentinel2_takes_the_same_path_with_its_offset(archive, fetch, files, tmp_path):
    """10 m green and 20 m short-wave infrared meet on 20 m; the offset of −1000 is in the catalogue."""
    fine = Affine(10, 0, 600_000, 0, -10, 3_570_000)
    coarse = Affine(20, 0, 600_000, 0, -20, 3_570_000)
    green = np.arange(900 * 840, dtype="uint32").reshape(900, 840) % 5000 + 1500
    swir = np.full((450, 420), 2000, "uint16")
    scl = np.full((450, 420), 11, "uint8")
    for name, baseline in (("new", "05.09"), ("old", "02.14")):
        layers = {"B03": (green.astype("uint16"), fine), "B11": (swir, coarse), "SCL": (scl, coarse)}
        assets = {}
        for key, (array, transform) in layers.items():
            path = write_source(files.root / f"{name}_{key}.tif", array, transform=transform)
            assets[key] = {
                "href": f"{files.url}/{path.name}",
                "proj:transform": list(transform)[:6],
                "proj:shape": list(array.shape),
            }
        item = landsat_item(
            name, FIRST + timedelta(days=len(baseline) * (name == "old")), "", platform="Sentinel-2A"
        )
        item["collection"], item["assets"] = "sentinel-2-l2a", assets
        item["properties"] |= {"s2:processing_baseline": baseline, "s2:mgrs_tile": "43SFS"}
        del item["properties"]["proj:transform"], item["properties"]["proj:shape"]
        archive.items.append(item)
    out = fetch(collection="sentinel-2-l2a", bands=BANDS, end=date(2019, 7, 1))
    scenes = {scene.id: scene for scene in read_catalogue(out)}
    assert set(scenes) == {"new", "old"}
    assert set(scenes["new"].assets) == {"green", "swir16", "scl"}
    assert scenes["new"].band("green").offset == -0.1
    assert scenes["old"].band("green").offset == 0
    assert scenes["new"].band("green").scale == 1e-4
    grid = grid_of(scenes["new"].asset("green"))
    assert grid == grid_of(scenes["new"].asset("swir16"))
    assert grid.affine.a == 20
    got = read(scenes["new"].asset("green"))
    mean = green.reshape(450, 2, 420, 2).mean(axis=(1, 3))
    row, col = round((coarse.f - grid.affine.f) / 20), round((grid.affine.c - coarse.c) / 20)
    want = mean[row : row + got.shape[0], col : col + got.shape[1]]
    assert np.abs(got - want).max() <= 0.5 + 1e-6  # rounding to whole numbers


def test_elevation_tiles_become_one_scene_without_a_seam(archive, fetch, files, tmp_path):
    """Copernicus tiles in degrees: heights follow a plane, so every pixel's truth is known."""
    step, west = 1 / 3600, 76.1
    for number, name in enumerate(("Copernicus_W", "Copernicus_E")):
        transform = Affine(step, 0, west - 0.1 + 0.1 * number, 0, -step, 32.3)
        rows, columns = np.mgrid[:500, :360] + 0.5
        height = 1000 + 4000 * (transform.c + columns * step - 76) + 3000 * (32.3 - rows * step - 32)
        write_source(
            files.root / f"{name}_data.tif",
            height.astype("float32"),
            nodata=None,
            epsg=4326,
            transform=transform,
        )
        item = landsat_item(
            name,
            datetime(2021, 4, 22, tzinfo=UTC),
            files.url,
            bands={"data": "data"},
            epsg=4326,
            transform=transform,
            shape=(500, 360),
        )
        item["collection"] = "cop-dem-glo-30"
        item["assets"]["data"] = {"href": f"{files.url}/{name}_data.tif"}
        archive.items.append(item)
    run = run_in(tmp_path / "out", glacier(crs="EPSG:32643", resolution=30))
    fetch(run, bands=("dem",), collection="cop-dem-glo-30", start=date(1999, 1, 1), end=date(2000, 1, 1))
    (scene,) = read_catalogue(run.out)
    dem = read(scene.asset("dem"))
    assert dem.count() == dem.size
    grid = grid_of(scene.asset("dem"))
    from pyproj import Transformer

    rows, columns = np.mgrid[: dem.shape[0], : dem.shape[1]] + 0.5
    x, y = grid.affine * (columns, rows)
    lon, lat = Transformer.from_crs(32643, 4326, always_xy=True).transform(x, y)
    np.testing.assert_allclose(dem, 1000 + 4000 * (lon - 76) + 3000 * (lat - 32), atol=1.0)


def test_a_band_without_flags_is_judged_by_its_own_gaps(archive, fetch, files):
    """Radar knows no cloud; what lies outside its swath is missing."""
    for number, gap in enumerate((0, 280)):
        name = f"S1A_{number}"
        array = np.random.default_rng(number).random(SHAPE).astype("float32")
        array[:, :gap] = -32768
        write_source(files.root / f"{name}_vv.TIF", array, nodata=-32768)
        item = landsat_item(
            name, FIRST + timedelta(days=number), files.url, bands={"vv": "vv"}, platform="SENTINEL-1A"
        )
        item["collection"] = "sentinel-1-rtc"
        item["assets"]["vv"].pop("raster:bands")
        archive.items.append(item)
    (scene,) = read_catalogue(fetch(bands=("vv",), collection="sentinel-1-rtc", platform=("sentinel-1a",)))
    assert scene.id == "S1A_0"
    assert "icectl:cloud" not in scene.properties
    assert read(scene.asset("vv")).dtype == np.float32
