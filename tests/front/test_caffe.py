"""CaFFe's archive by name: small files of its form, in a folder, and zipped on a loopback server."""

from __future__ import annotations

import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from icectl import evaluate
from icectl.errors import DataError, IcectlError, WorkError
from icectl.tasks.front.dataset import open_dataset

TRAINED = ("DBE_2008-03-30_TSX_7_3_049", "Jorum_2011-09-04_TSX_7_4_034", "SI_2013-08-14_S1_20_1_125")
TESTED = ("COL_2011-11-13_TDX_7_1_092", "Mapple_2007-02-20_ERS_20_2_151")


def archive(root: Path, series: int = 6) -> Path:
    """Images of bright ice above dark sea with a wall of rock; a date a month for each glacier."""
    rng = np.random.default_rng(1)
    for part, names in (("train", TRAINED), ("test", TESTED)):
        for name in names:
            glacier, _, rest = name.split("_", 2)
            for month in range(1, series + 1):
                stem = name if month == 1 else f"{glacier}_2014-{month:02d}-11_{rest}"
                _write(root, part, stem, 40 + 3 * month, rng)
    return root


def _write(root: Path, part: str, stem: str, row: int, rng: np.random.Generator) -> None:
    zones = np.full((96, 80), 254, np.uint8)
    zones[:row] = 127
    zones[:, :12] = 64
    zones[:4, -4:] = 0
    front = np.zeros_like(zones)
    front[row, 12:] = 255
    image = np.where(zones == 127, 190, np.where(zones == 64, 90, 30)) + rng.normal(0, 12, zones.shape)
    for kind, end, values in (
        ("sar_images", "", image),
        ("fronts", "_front", front),
        ("zones", "_zones", zones),
    ):
        folder = root / kind / part
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{stem}{end}.png"), np.clip(values, 0, 255).astype(np.uint8))
    box = root / "bounding_boxes" / f"{stem}_bb.txt"
    box.parent.mkdir(exist_ok=True)
    box.write_text("Rectangle\n0,90\n0,5\n79,5\n79,90\n")


def prepared(workspace: Path, **options):
    from icectl.cli.work import outcome

    return open_dataset(outcome("prepare", "front-unet", {"workspace": workspace, **options}).out)


@pytest.mark.parametrize("inside", [".", "data_raw"])
def test_a_folder_as_published_is_known_by_its_layout(tmp_path, inside):
    archive(tmp_path / "mine" / inside)
    data = prepared(tmp_path / "w", scenes=tmp_path / "mine")
    entries = {entry.id: entry for entry in data.entries}
    assert len(entries) == 30
    one = entries[TESTED[0]]
    assert (one.glacier, one.time.date().isoformat()) == ("columbia", "2011-11-13")
    assert one.resolution == pytest.approx(7)
    assert (one.facts["sensor"], one.facts["quality"], one.facts["orbit"]) == ("TDX", "1", "092")
    assert one.lines is not None
    assert one.lines[0][:, 0] == pytest.approx(43, abs=0.6)
    assert one.lines[0][:, 1].min() == pytest.approx(
        12, abs=1
    )  # the line of fronts, not the outline of the ice
    mask = data.mask(one)
    assert mask[:43, 13:70].all()
    assert not mask[44:].any()
    assert not mask[:, :12].any()


HEAD = (
    'image_name;" glacier_name";" date";" sensor";" resolution (m)";" orbit";" polarization";'
    'Bounding box coordinates;" Coordinate system"\n'
)


@pytest.mark.parametrize("beside", [False, True])
def test_its_table_says_where_images_lie(tmp_path, beside):
    folder = archive(tmp_path / "mine" / "data_raw", series=2)
    box = "BoundingBox(left=484876.965, bottom=6776218.967, right=485436.965, top=6776890.967)"
    row = f"{TESTED[0]}_geo.tif;Columbia Glacier;13.11.2011;TanDEM-X;7;92;VV;{box};EPSG:32606\n"
    table = (folder.parent if beside else folder) / "meta_data.csv"
    table.write_text(HEAD + row, encoding="utf-8-sig")
    entries = {entry.id: entry for entry in prepared(tmp_path / "w", scenes=tmp_path / "mine").entries}
    one = entries[TESTED[0]]
    assert one.place.crs == "EPSG:32606"
    assert one.place.transform == pytest.approx((7, 0, 484876.965, 0, -7, 6776890.967))
    assert one.resolution == pytest.approx(7, rel=0.01)  # on the ground: UTM stretches a little
    assert one.lines[0][:, 0] == pytest.approx(43, abs=0.6)
    assert entries[TESTED[1]].place is None
    for wrong, words in (
        ("right=486436.965", "has another shape than the image"),
        ("east=", "does not say where images lie"),
    ):
        name = "right=485436.965" if wrong.startswith("right") else "BoundingBox(left=484876.965"
        table.write_text(HEAD + row.replace(name, wrong))
        with pytest.raises(DataError, match=words):
            prepared(tmp_path / "w", scenes=tmp_path / "mine")


def test_the_archives_glaciers_are_tested_and_no_others(tmp_path):
    folder = archive(tmp_path / "mine")
    roles = {(e.glacier, e.role) for e in prepared(tmp_path / "w", scenes=folder).entries}
    assert {glacier for glacier, role in roles if role == "test"} == {"columbia", "mapple"}
    assert not {glacier for glacier, role in roles if role in ("train", "valid")} & {"columbia", "mapple"}
    assert {role for glacier, role in roles if glacier == "mapple"} == {"test"}
    roles = {
        (e.glacier, e.role) for e in prepared(tmp_path / "w", scenes=folder, held_out=("jorum",)).entries
    }
    assert {glacier for glacier, role in roles if role == "test"} == {"jorum"}


@pytest.mark.slow
def test_a_training_scores_them_in_metres(tmp_path):
    place = {"workspace": tmp_path / "w", "scenes": archive(tmp_path / "mine")}
    scored = evaluate("front-unet", updates=60, validate_every=60, flow="down", bootstrap=10, **place)
    table = scored.metrics["tables"][0]
    (ours,) = [row["values"] for row in table["rows"] if row["kind"] == "model"]
    metres = [column["key"] for column in table["columns"] if column["unit"] == "m"]
    assert metres
    assert all(0 < ours[key] < 500 for key in metres)


def test_by_name_it_is_downloaded_once(tmp_path, monkeypatch):
    archive(tmp_path / "made" / "data_raw", series=2)
    (tmp_path / "served").mkdir()
    with zipfile.ZipFile(tmp_path / "served" / "data_raw.zip", "w") as made:
        for path in sorted((tmp_path / "made").rglob("*")):
            made.write(path, path.relative_to(tmp_path / "made"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("ICECTL_CAFFE", f"{address}/data_raw.zip")
    try:
        data = prepared(tmp_path / "w", source="caffe", glacier="demo")
        assert len(data.entries) == 10
        monkeypatch.setenv("ICECTL_CAFFE", f"{address}/gone.zip")
        with pytest.raises(WorkError, match="could not be fetched"):
            prepared(tmp_path / "v", source="caffe", glacier="demo")
    finally:
        server.shutdown()
        server.server_close()


def test_what_is_not_as_published_is_one_sentence(tmp_path):
    folder = archive(tmp_path / "mine", series=1)

    def refused(expected: str) -> None:
        with pytest.raises(DataError, match=expected) as said:
            prepared(tmp_path / "w", scenes=folder, source="caffe")
        assert "\n" not in said.value.message
        assert said.value.hint

    zones = folder / "zones" / "test" / f"{TESTED[0]}_zones.png"
    kept = zones.read_bytes()
    cv2.imwrite(str(zones), np.full((96, 80), 200, np.uint8))
    refused("holds 200, which is no zone")
    cv2.imwrite(str(zones), np.full((10, 80), 254, np.uint8))
    refused("another size than its image")
    zones.write_bytes(kept)
    image = folder / "sar_images" / "test" / f"{TESTED[0]}.png"
    image.rename(image.with_name("mine.png"))
    refused(r"mine\.png is no name of CaFFe's archive")
    image.with_name("mine.png").rename(image)
    (folder / "fronts" / "test" / f"{TESTED[0]}_front.png").unlink()
    refused("has no COL_2011-11-13_TDX_7_1_092_front.png in fronts/test")
    for path in (folder / "sar_images").rglob("*.png"):
        path.unlink()
    refused("holds no images in train and test")
    (tmp_path / "other").mkdir()
    cv2.imwrite(str(tmp_path / "other" / "2014-01-01.png"), np.zeros((32, 32), np.uint8))
    with pytest.raises(IcectlError, match="is not laid out as CaFFe's archive"):
        prepared(tmp_path / "w", scenes=tmp_path / "other", source="caffe")
