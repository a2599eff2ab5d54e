"""Downloads over a loopback server: whole and verified or not at all, by address and by name."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas as gpd
import pytest
import requests
from shapely.geometry import box

from icectl.errors import DataError, UsageError, WorkError
from icectl.sources import published
from icectl.sources.archive import retrieve, unpacked
from icectl.workspace import identify


class Served:
    """A server of files in memory; `cut` breaks off after half, `asked` counts requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut = False
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                data = outer.files.get(self.path.lstrip("/"))
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if outer.cut else data)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    one = Served()
    thread = threading.Thread(target=one.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("ICECTL_MIRROR", one.url)
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


def zipped(**members: bytes) -> bytes:
    """A zip archive of those members; ``__`` in a name stands for a slash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def outlines(folder: Path) -> bytes:
    """A zipped shapefile of one glacier, in a folder of its own as RGI 6 has them."""
    folder.mkdir()
    frame = gpd.GeoDataFrame({"RGIId": ["RGI60-11.00001"]}, geometry=[box(7, 45, 7.01, 45.01)], crs=4326)
    frame.to_file(folder / "11_rgi60_CentralEurope.shp")
    return zipped(**{f"11_rgi60_CentralEurope__{p.name}": p.read_bytes() for p in sorted(folder.iterdir())})


def nothing_left(folder: Path) -> bool:
    """Whether a folder holds no file and no folder of unpacked members."""
    return not folder.exists() or not [p for p in folder.rglob("*") if not p.is_dir()]


def test_a_file_is_fetched_once_and_its_checksum_recorded(served: Served, tmp_path: Path) -> None:
    served.files["a.bin"] = b"12345"
    first = retrieve(f"{served.url}/a.bin", tmp_path / "in")
    again = retrieve(f"{served.url}/a.bin", tmp_path / "in")
    assert first == again == tmp_path / "in" / "a.bin"
    assert first.read_bytes() == b"12345"
    assert served.asked == ["/a.bin"]
    expected = f"sha256:{hashlib.sha256(b'12345').hexdigest()}"
    assert (tmp_path / "in" / "a.bin.sha256").read_text().strip() == expected


def test_another_content_than_recorded_is_refused(served: Served, tmp_path: Path) -> None:
    served.files["a.bin"] = b"12345"
    retrieve(f"{served.url}/a.bin", tmp_path / "in").unlink()
    served.files["a.bin"] = b"other"
    with pytest.raises(WorkError, match=r"a\.bin is not what was expected") as caught:
        retrieve(f"{served.url}/a.bin", tmp_path / "in")
    assert "a.bin.sha256" in caught.value.hint
    assert not (tmp_path / "in" / "a.bin").exists()


def test_a_wrong_published_checksum_leaves_nothing(served: Served, tmp_path: Path) -> None:
    served.files["a.bin"] = b"12345"
    with pytest.raises(WorkError, match="its checksum is not md5:00") as caught:
        retrieve(f"{served.url}/a.bin", tmp_path / "in", checksum=f"md5:{'0' * 32}")
    assert caught.value.hint
    assert nothing_left(tmp_path / "in")


def test_a_cut_download_leaves_nothing(served: Served, tmp_path: Path) -> None:
    served.files["a.bin"], served.cut = b"x" * 100_000, True
    with pytest.raises(WorkError, match="could not be fetched") as caught:
        retrieve(f"{served.url}/a.bin", tmp_path / "in")
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert nothing_left(tmp_path / "in")


def test_an_error_without_words_is_named_by_its_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def silent(*_: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr("icectl.sources.archive.download", silent)
    with pytest.raises(WorkError, match=r"a\.bin could not be fetched: ConnectionError$"):
        retrieve("https://a.example/a.bin", tmp_path / "in")


def test_a_missing_file_and_a_dead_server_are_named(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a few words: what requests says of its pools and attempts is longer than the page."""
    monkeypatch.setattr("icectl.sources.archive.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = {
            f"{served.url}/none.zip": "404 Not Found",
            "http://127.0.0.1:9/none.zip": "Connection refused",
            f"http://127.0.0.1:{silent.getsockname()[1]}/none.zip": "it did not answer in time",
        }
        for address, words in said.items():
            with pytest.raises(WorkError, match=rf"none\.zip could not be fetched: {words}$") as caught:
                retrieve(address, tmp_path / "in")
            assert caught.value.hint
    assert nothing_left(tmp_path / "in")


def test_outlines_of_a_region_come_by_name(served: Served, tmp_path: Path) -> None:
    served.files["11_rgi60_CentralEurope.zip"] = outlines(tmp_path / "made")
    said: list[str] = []
    path = published.resolve(Path("rgi:11"), said.append)
    assert list(gpd.read_file(path)["RGIId"]) == ["RGI60-11.00001"]
    assert said == [f"fetching {served.url}/11_rgi60_CentralEurope.zip"]
    assert published.resolve(Path("rgi6:11"), said.append) == path
    assert len(served.asked) == len(said) == 1


def test_points_and_consensus_come_by_name(served: Served) -> None:
    served.files["glathida-3.1.0.zip"] = zipped(**{"glathida-3.1.0__data__TTT.csv": b"POINT_LAT,POINT_LON\n"})
    served.files["composite_thickness_RGI60-11.zip"] = zipped(**{"RGI60-11__a_thickness.tif": b"x"})
    assert published.resolve(Path("glathida:3.1")).name == "TTT.csv"
    folder = published.resolve(Path("farinotti:11"))
    assert [p.name for p in folder.rglob("*.tif")] == ["a_thickness.tif"]
    assert identify(Path("glathida:3.1")) == ["glathida:3.1"]


@pytest.mark.parametrize("name", ["../outside.shp", "/etc/outside", "a/../../b"])
def test_a_hostile_archive_writes_nothing_and_is_removed(served: Served, tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("good.shp", b"x")
        archive.writestr(name, b"x")
    served.files["11_rgi60_CentralEurope.zip"] = buffer.getvalue()
    with pytest.raises(DataError, match="holds the name") as caught:
        published.resolve(Path("rgi:11"))
    assert caught.value.hint
    assert nothing_left(tmp_path)


def test_a_login_page_in_place_of_an_archive_is_worded(served: Served, tmp_path: Path) -> None:
    served.files["RGI2000-v7.0-G-11_central_europe.zip"] = b"<html>log in</html>"
    with pytest.raises(DataError, match="is damaged") as caught:
        published.resolve(Path("rgi7:11"))
    assert "Earthdata login" in caught.value.hint
    assert nothing_left(tmp_path)


def test_an_archive_without_what_is_wanted_is_worded(served: Served) -> None:
    served.files["11_rgi60_CentralEurope.zip"] = zipped(readme=b"moved")
    with pytest.raises(DataError, match=r"holds no \*\.shp"):
        published.resolve(Path("rgi:11"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("rgy:11", "no published data set"), ("rgi:20", "rgi has no 20"), ("glathida:2", "has no 2")],
)
def test_unknown_names_are_refused(served: Served, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        published.resolve(Path(name))
    assert caught.value.hint
    assert not served.asked


def test_every_region_has_a_name_of_either_version() -> None:
    assert published.archive_of("rgi:8").file == "08_rgi60_Scandinavia.zip"
    assert published.archive_of("rgi7:07").file == "RGI2000-v7.0-G-07_svalbard_jan_mayen.zip"
    assert len(published.RGI6) == len(published.RGI7) == 19


def test_a_file_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rgi:11").write_text("mine")
    assert published.resolve(Path("rgi:11")) == Path("rgi:11")
    assert published.resolve(Path("rest.shp")) == Path("rest.shp")


def test_unpacking_again_reads_nothing(served: Served, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(one=b"1"))
    folder = unpacked(tmp_path / "a.zip")
    (tmp_path / "a.zip").unlink()
    assert unpacked(tmp_path / "a.zip") == folder
