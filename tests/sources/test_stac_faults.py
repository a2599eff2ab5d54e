"""Servers that fail, links that lead astray, files that are not what they seem."""

from __future__ import annotations

import dataclasses

import pytest
from landsat_archive import BANDS, HASTY, run_in, values
from servers import (
    EPSG,
    OLI,
    Fault,
    free_port,
    write_source,
)

from icectl.errors import DataError, WorkError
from icectl.raster import read
from icectl.sources.catalogue import read_catalogue
from icectl.sources.options import SceneQuery
from icectl.sources.stac import fetch_scenes


@pytest.mark.parametrize("href", ["file:///etc", "s3://usgs-landsat", "/vsicurl/http://x", "ftp://x"])
def test_foreign_links_are_refused(archive, fetch, href):
    archive.add(0, href=href)
    archive.items[0]["links"] = []
    with pytest.raises(DataError, match="which is no http"):
        fetch()


def test_links_to_private_addresses_are_refused(archive, fetch):
    """The service was named by the user; the router beside it was not."""
    archive.add(0, href="http://192.168.1.1")
    archive.items[0]["links"] = []
    with pytest.raises(DataError, match=r"links to 192\.168\.1\.1, a private address"):
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
    query = SceneQuery(api=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(WorkError, match="cannot be searched") as refused:
        fetch_scenes(run_in(tmp_path), query, BANDS, patience=HASTY)
    assert "--scenes" in refused.value.hint
    assert refused.value.message.endswith(": Connection refused")


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
