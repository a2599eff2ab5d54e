"""The CALFIN archive by its DOI, from a loopback server that answers as Dryad does."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from icectl.errors import DataError, WorkError
from icectl.registry import load_model
from icectl.run import Run
from icectl.settings import Glacier
from icectl.sources.catalogue import read_catalogue
from icectl.tasks.front.files.archive import DOI
from icectl_deeplab_xception import plugin

pytestmark = pytest.mark.filterwarnings(  # pooch leaves the answer of a refused request open
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
NAME = "Helheim_LC08_L1TP_233013_20160710_20180130_01_T1_B5"


class Dryad:
    """A repository of files: listings in pages of one, downloads for who has the token."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.cut = False
        self.token = ""
        self.seen: list[str] = []
        self.listing: object = None

    def add(self, name: str, content: bytes) -> None:
        self.files[name] = content
        self.digests[name] = hashlib.sha256(content).hexdigest()

    def page(self, number: int) -> dict[str, object]:
        name = list(self.files)[number]
        links = {"next": {"href": f"/api/v2/versions/7/files?page={number + 1}"}}
        file = {
            "path": name,
            "size": len(self.files[name]),
            "digestType": "sha-256",
            "digest": self.digests[name],
            "_links": {"stash:download": {"href": f"/api/v2/files/{number}/download"}},
        }
        more = number + 1 < len(self.files)
        return {"_embedded": {"stash:files": [file]}, "_links": links if more else {}}


class Handler(BaseHTTPRequestHandler):
    """Answers for a `Dryad`."""

    dryad: Dryad

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.dryad.seen.append(self.path)
        if self.path.startswith("/api/v2/datasets/"):
            assert self.path.endswith(f"doi%3A{DOI.replace('/', '%2F')}")
            self._say({"_links": {"stash:version": {"href": "/api/v2/versions/7"}}})
        elif self.path == "/api/v2/versions/7":
            self._say(self.dryad.listing or {"_links": {"stash:files": {"href": "/api/v2/versions/7/files"}}})
        elif self.path.startswith("/api/v2/versions/7/files"):
            self._say(self.dryad.page(int(self.path.partition("page=")[2] or 0)))
        elif self.dryad.token and self.headers.get("Authorization") != f"Bearer {self.dryad.token}":
            self.send_error(401)
        else:
            content = list(self.dryad.files.values())[int(self.path.split("/")[4])]
            self._send(content, cut=self.dryad.cut)

    def _say(self, answer: object) -> None:
        self._send(json.dumps(answer).encode())

    def _send(self, content: bytes, cut: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)


@pytest.fixture
def dryad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Dryad]:
    repository = Dryad()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"dryad": repository}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("ICECTL_DRYAD", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.delenv("ICECTL_DRYAD_TOKEN", raising=False)
    repository.add("README.md", b"about the fronts")
    repository.add("training.zip", zipped(tmp_path))
    yield repository
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(folder: Path) -> bytes:
    """An archive with one image and its mask, and one image without."""
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 64), np.uint8)
    mask[32:] = 255
    for name, array in (("", rng.integers(0, 255, (64, 64), np.uint8)), ("_mask", mask)):
        cv2.imwrite(str(folder / f"{NAME}{name}.png"), array)
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        for file in (f"{NAME}.png", f"{NAME}_mask.png"):
            archive.write(folder / file, f"train/{file}")
        archive.write(folder / f"{NAME}.png", "train/alone.png")
    return (folder / "made.zip").read_bytes()


def fetch(out: Path) -> Run:
    """Fetch from the archive as ``icectl fetch deeplab --source calfin`` does."""
    out.mkdir(exist_ok=True)
    options = {verb: model() for verb, model in plugin.stages.items()}
    options["fetch"] = plugin.stages["fetch"](source="calfin")
    run = Run(
        verb="fetch", plugin=plugin, glacier=Glacier(name="calfin"), out=out, options=options, quiet=True
    )
    load_model(plugin).fetch(run, options["fetch"])
    return run


def test_pairs_are_fetched_verified_unpacked_and_prepared(dryad, tmp_path):
    from icectl.tasks.front.dataset import open_dataset

    run = fetch(tmp_path / "out")
    (scene,) = read_catalogue(run.out)
    assert scene.id == NAME
    assert scene.time.date().isoformat() == "2016-07-10"
    assert scene.properties["icectl:facts"]["glacier"] == "helheim"
    assert scene.asset("label").name == f"{NAME}_mask.png"
    (tmp_path / "prepared").mkdir()
    prepare = run.at(verb="prepare", out=tmp_path / "prepared", inputs={"fetch": run.out})
    load_model(plugin).prepare(prepare, plugin.stages["prepare"]())
    (entry,) = open_dataset(prepare.out).entries
    assert entry.has_mask
    assert entry.lines[0][:, 0].mean() == pytest.approx(31.5, abs=1)


def test_whole_files_are_not_fetched_twice(dryad, tmp_path):
    fetch(tmp_path / "out")
    before = len(dryad.seen)
    fetch(tmp_path / "out")
    assert not [path for path in dryad.seen[before:] if "download" in path]


def test_a_wrong_checksum_is_one_sentence_and_leaves_nothing(dryad, tmp_path):
    dryad.digests["training.zip"] = "0" * 64
    with pytest.raises(WorkError, match=r"training\.zip is not what was expected") as refused:
        fetch(tmp_path / "out")
    assert "\n" not in refused.value.message
    assert refused.value.hint
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["README.md"]


def test_a_cut_connection_leaves_nothing_and_the_next_try_goes_on(dryad, tmp_path):
    dryad.cut = True
    with pytest.raises(WorkError, match="could not be fetched") as refused:
        fetch(tmp_path / "out")
    assert "\n" not in refused.value.message
    assert refused.value.hint
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    dryad.cut = False
    assert len(read_catalogue(fetch(tmp_path / "out").out)) == 1


def test_downloads_that_want_an_account_say_so(dryad, tmp_path, monkeypatch):
    dryad.token = "mine"
    with pytest.raises(
        WorkError, match=r"README\.md may not be downloaded: the server answered 401"
    ) as refused:
        fetch(tmp_path / "out")
    assert "ICECTL_DRYAD_TOKEN" in refused.value.hint
    monkeypatch.setenv("ICECTL_DRYAD_TOKEN", "mine")
    assert len(read_catalogue(fetch(tmp_path / "out").out)) == 1


def test_a_listing_that_changed_and_no_server_are_told(dryad, tmp_path, monkeypatch):
    dryad.listing = {"_links": {}}
    with pytest.raises(WorkError, match="is not understood") as refused:
        fetch(tmp_path / "out")
    assert "--scenes" in refused.value.hint
    monkeypatch.setenv("ICECTL_DRYAD", "http://127.0.0.1:9")
    with pytest.raises(WorkError, match="cannot be read"):
        fetch(tmp_path / "out")


def test_an_archive_without_pairs_is_refused(dryad, tmp_path):
    del dryad.files["training.zip"]
    with pytest.raises(DataError, match="no image with a mask"):
        fetch(tmp_path / "out")
