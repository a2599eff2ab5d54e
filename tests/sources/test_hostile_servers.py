"""Servers and catalogues of bad faith, a kind each: one sentence and a hint, and nothing is left behind.

``pytest -q tests/sources/test_hostile_servers.py`` counts them; none is drawn at random.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from landsat_archive import BANDS, FIRST, HASTY, run_in
from servers import landsat_item

from icectl.errors import DataError, IcectlError, WorkError
from icectl.sources.archive import retrieve
from icectl.sources.options import SceneQuery
from icectl.sources.products import Service
from icectl.sources.remote import Patience
from icectl.sources.search import connect
from icectl.sources.stac import fetch_scenes

QUICK = Patience(timeout=2, attempts=2, backoff=0.01)

Answer = bytes | Callable[[socket.socket, str], None]


def head(*lines: str, status: str = "200 OK", body: bytes = b"{}") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode("latin-1") + body


def repeated(piece: bytes, pause: float = 0.0, first: bytes = b"") -> Answer:
    """Send a piece again and again, for a minute at most."""

    def send(to: socket.socket, _: str) -> None:
        to.sendall(first)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            to.sendall(piece)
            time.sleep(pause)

    return send


def packed(*encodings: str, body: bytes) -> bytes:
    return head(f"Content-Encoding: {', '.join(encodings)}", "Content-Type: application/json", body=body)


def sent_on(target: str, status: str = "302 Found") -> bytes:
    return head(f"Location: {target}", "Content-Length: 0", status=status, body=b"")


CHUNKED = "Transfer-Encoding: chunked"

RAW: dict[str, Answer] = {
    "closes at once": b"",
    "is no HTTP": bytes(range(256)) * 4,
    "speaks HTTP 0.9": b"<html>hello</html>",
    "speaks FTP": b"220 welcome\r\n331 password please\r\n",
    "speaks TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "has a status that is no number": head(status="abc OK"),
    "has a status of 9 digits": head(status="999999999 OK"),
    "has a status below 100": head(status="-1 OK"),
    "has no status": b"HTTP/1.1\r\n\r\n{}",
    "has a status line that never ends": repeated(b"H" * 4096, first=b"HTTP/1.1 200 "),
    "has a header that never ends": repeated(b"x" * 4096, first=b"HTTP/1.1 200 OK\r\nX: "),
    "has headers that never end": repeated(b"X: y\r\n", first=b"HTTP/1.1 200 OK\r\n"),
    "has a thousand headers": head(*[f"X-{n}: y" for n in range(1000)]),
    "tells to continue for ever": repeated(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "tells to wait for ever": repeated(b"HTTP/1.1 102 Processing\r\n\r\n", pause=0.01),
    "sends its head a byte a moment": repeated(b"x", pause=0.2, first=b"HTTP/1.1 200 OK\r\nX: "),
    "switches protocols": head("Upgrade: nothing", status="101 Switching Protocols", body=b""),
    "has no content": head(status="204 No Content", body=b""),
    "is not modified": head(status="304 Not Modified", body=b""),
    "sends a part that was not asked for": head("Content-Range: bytes 5-9/10", status="206 Part"),
    "says a length that is not met": head("Content-Length: 1000"),
    "says a negative length": head("Content-Length: -5"),
    "says a length in words": head("Content-Length: many"),
    "says two lengths": head("Content-Length: 2", "Content-Length: 9000"),
    "says a length of 40 digits": head(f"Content-Length: {'9' * 40}"),
    "has a chunk whose size is no number": head(CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "has a chunk of negative size": head(CHUNKED, body=b"-5\r\n{}\r\n0\r\n\r\n"),
    "has a chunk that is not met": head(CHUNKED, body=b"ffffffff\r\n{}"),
    "has chunks without an end": head(CHUNKED, body=b"2\r\n{}\r\n"),
    "has a chunk size that never ends": repeated(b"0" * 4096, first=head(CHUNKED, body=b"")),
    "has trailers that never end": repeated(
        b"X: y\r\n", first=head(CHUNKED, body=b"2\r\n{}\r\n0\r\n")
    ),
    "is not packed as it says": packed("gzip", body=b"{}"),
    "is packed and cut": packed("gzip", body=gzip.compress(b'{"id": "c"}' * 99)[:30]),
    "is packed otherwise": packed("deflate", body=b"\xff" * 50),
    "is packed a hundred times": packed(*["gzip"] * 100, body=gzip.compress(b"{}")),
    "unpacks to 40 MB in two layers": packed(
        "gzip", "gzip", body=gzip.compress(gzip.compress(b"\0" * 40_000_000))
    ),
    "sends on to itself": sent_on("/here"),
    "sends on to nothing": head(status="302 Found", body=b""),
    "sends on to a file": sent_on("file:///etc/passwd"),
    "sends on to a file of a host": sent_on("file://other.example/etc/passwd"),
    "sends on to data": sent_on("data:application/json,{}"),
    "sends on to a script": sent_on("javascript:alert(1)"),
    "sends on to FTP": sent_on("ftp://other.example/x"),
    "sends on to no host": sent_on("http:///x"),
    "sends on to half an address": sent_on("http://[::1"),
    "sends on to a port that is none": sent_on("http://127.0.0.1:99999/"),
    "sends on to a host of 300 letters": sent_on(f"http://{'x' * 300}.example/"),
    "sends on to another port's owner": sent_on("//other.example/x"),
    "sends on with a password": sent_on("http://me:mine@169.254.169.254/"),
    "sends on to a number for an address": sent_on("http://2130706433/"),
    "sends on to an address in base 8": sent_on("http://0177.0.0.1/"),
    "sends on for good": sent_on("http://169.254.169.254/", status="308 Permanent Redirect"),
    "wants a login": head("WWW-Authenticate: Basic realm=x", status="401 Unauthorized"),
    "wants money": head(status="402 Payment Required"),
    "has an error page of 1 MB": head(status="404 Not Found", body=b"<p>no</p>" * 100_000),
    "is a teapot": head(status="418 I'm a teapot"),
    "asks to wait for a year": head("Retry-After: 31536000", status="400 Bad Request"),
    "asks to wait for a word": head("Retry-After: soon", status="503 Service Unavailable"),
    "has a reason that paints the terminal": head(status="500 \x1b[2J\x1b[31mred"),
}  # fmt: skip


@pytest.fixture(scope="module")
def raw() -> Iterator[Callable[[Answer], str]]:
    """Return ``serve(answer)``: the address of a server that answers all with it."""
    closing: list[socket.socket] = []

    def serve(answer: Answer) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        closing.append(server)

        def each(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(5)
                asked = connection.recv(65536).decode("latin-1")
                answer(connection, asked) if callable(answer) else connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=each, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/here"

    yield serve
    for server in closing:
        server.close()


def plain(error: IcectlError) -> None:
    """What a user reads is one short line, with a hint, without a library's own parts or signs of control."""
    assert error.hint
    assert error.hint.isprintable(), error.hint
    assert error.message.isprintable(), error.message
    assert len(error.message) < 400, error.message
    for word in ("ConnectionPool", "object at 0x", "Traceback", "//None", "NoneType", "object has no"):
        assert word not in error.message, error.message


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANSWER_MB", "DOWNLOAD_MB"):
        monkeypatch.setenv(f"ICECTL_MAX_{name}", "5")
    for name in ("ANSWER_SECONDS", "DOWNLOAD_SECONDS"):
        monkeypatch.setenv(f"ICECTL_MAX_{name}", "1")


@pytest.mark.parametrize("kind", RAW)
def test_a_catalogue_that(kind: str, raw: Callable[[Answer], str], bounds: None) -> None:
    begun = time.monotonic()
    with pytest.raises(WorkError) as refused:
        connect(Service(url=raw(RAW[kind]), name="hostile", collection="c"), QUICK)
    plain(refused.value)
    assert time.monotonic() - begun < 15


FINE = {"says two lengths"}
"""What a download takes as it is: the bytes that came, whose checksum is kept."""


@pytest.mark.parametrize("kind", [kind for kind in RAW if kind not in FINE])
def test_a_download_that(kind: str, raw: Callable[[Answer], str], bounds: None, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(WorkError) as refused:
        retrieve(raw(RAW[kind]), tmp_path / "cache")
    plain(refused.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert time.monotonic() - begun < 15


Change = Callable[[dict[str, Any]], Any]


def item(**changes: Any) -> dict[str, Any]:
    """Return an item with other fields; ``a__b`` is a field of a field."""
    made = landsat_item("ok", FIRST, "http://127.0.0.1:9")
    for name, value in changes.items():
        place, *_, last = [made, *name.split("__")]
        for key in name.split("__")[:-1]:
            place = place[key.replace("_of_", ":")]
        place[last.replace("_of_", ":")] = value
    return made


ROOTS: dict[str, Any] = {
    "is a list": [],
    "is a number": 5,
    "is a word": "hello",
    "is null": None,
    "is empty": b"",
    "is a page": b"<html>hello</html>",
    "is a hundred thousand lists deep": b"[" * 100_000,
    "holds a number of 5000 digits": b'{"id": ' + b"9" * 5000 + b"}",
    "is no UTF-8": b'{"id": "\xff\xfe"}',
    "is UTF-16": json.dumps({"id": "c"}).encode("utf-16"),
    "is cut": b'{"type": "Catalog", "id": "c", "links": [',
    "is of another kind": {"type": "Nonsense"},
    "is an item": item(),
    "has links that are words": {"links": "none"},
    "has a link that is a number": {"links": [5]},
    "has a link to nothing": {"links": [{"rel": "search", "href": None}]},
    "has a link of no kind": {"links": [{"href": "http://127.0.0.1:9/x"}]},
    "is of version 99": {"stac_version": "99.0.0"},
    "has a version that is a list": {"stac_version": [1]},
    "conforms to a number": {"conformsTo": 5},
    "conforms to nothing": {"conformsTo": []},
    "searches in a file": {"search": "file:///etc/passwd"},
    "searches at a private address": {"search": "http://169.254.169.254/search"},
    "searches at another host": {"search": "ftp://other.example/search"},
    "searches nowhere": {"search": "http://[::1"},
}

PAGES: dict[str, Any] = {
    "is a list": [],
    "is null": None,
    "is empty": b"",
    "is cut": b'{"type": "FeatureCollection", "features": [{',
    "is of another kind": {"type": "Topology"},
    "has no items": {"features": None},
    "has items by name": {"features": {"a": 1}},
    "has an item that is null": {"features": [None]},
    "has an item that is a number": {"features": [5]},
    "has an item that is a list": {"features": [[]]},
    "has an item without fields": {"features": [{}]},
    "goes on in a file": {"next": "file:///etc/passwd"},
    "goes on at a private address": {"next": "http://169.254.169.254/"},
    "goes on at another host": {"next": "gopher://other.example/"},
    "goes on nowhere": {"next": None},
    "goes on for ever": {"next": "/search?again"},
}

ITEMS: dict[str, dict[str, Any]] = {
    "whose id is a number": item(id=5),
    "whose id is null": item(id=None),
    "whose id is empty": item(id=""),
    "whose id leads out": item(id="../../evil"),
    "whose id is absolute": item(id="/etc/passwd"),
    "whose id holds a zero": item(id="a\0b"),
    "whose id has two lines": item(id="a\nb"),
    "whose id is of 10,000 letters": item(id="x" * 10_000),
    "whose id is an option": item(id="--force"),
    "whose id is a list": item(id=["a"]),
    "without properties": item(properties=None),
    "whose properties are a list": item(properties=[]),
    "whose properties are a word": item(properties="none"),
    "whose time is a number": item(properties__datetime=5),
    "whose time is a word": item(properties__datetime="yesterday"),
    "whose time is in the year 99999": item(properties__datetime="99999-01-01T00:00:00Z"),
    "without a time": item(properties__datetime=None),
    "whose footprint is a word": item(geometry="everywhere"),
    "whose footprint is a list": item(geometry=[1, 2]),
    "whose footprint has no numbers": item(geometry={"type": "Polygon", "coordinates": [[["a", "b"]]]}),
    "whose footprint is not a number": item(
        geometry={"type": "Polygon", "coordinates": [[[float("nan")] * 2] * 4]}
    ),
    "whose footprint is a million rings deep": item(
        geometry={"type": "GeometryCollection", "geometries": [{"type": "Point"}]}
    ),
    "whose assets are a list": item(assets=[]),
    "without assets": item(assets=None),
    "whose asset is null": item(assets__green=None),
    "whose asset is a number": item(assets__green=5),
    "whose asset is a link alone": item(assets__green="http://127.0.0.1:9/x.tif"),
    "whose link is a number": item(assets__green__href=5),
    "whose link is null": item(assets__green__href=None),
    "whose link is empty": item(assets__green__href=""),
    "whose link is a list": item(assets__green__href=["http://127.0.0.1:9/x.tif"]),
    "whose link is a script": item(assets__green__href="javascript:alert(1)"),
    "whose link is data": item(assets__green__href="data:image/tiff;base64,AAAA"),
    "whose link is half an address": item(assets__green__href="http://[::1/x.tif"),
    "whose link has two lines": item(assets__green__href="http://127.0.0.1:9/x\n.tif"),
    "whose link is a host of GDAL's own": item(assets__green__href="/vsizip//etc/passwd"),
    "whose link is a program": item(assets__green__href="|cat /etc/passwd"),
    "whose link is private": item(assets__green__href="http://10.0.0.1/x.tif"),
    "whose link is private in IPv6": item(assets__green__href="http://[fd00::1]/x.tif"),
    "whose link is private in base 16": item(assets__green__href="http://0x0a000001/x.tif"),
    "whose other links are a number": item(assets__green__href="s3://x/y", assets__green__alternate=5),
    "whose scale is a word": item(assets__green__raster_of_bands=[{"scale": "much"}]),
    "whose scale is a list": item(assets__green__raster_of_bands=[{"scale": [1]}]),
    "whose bands are a number": item(assets__green__raster_of_bands=5),
    "whose bands are null": item(assets__green__raster_of_bands=[None]),
    "whose nodata is a word": item(assets__green__raster_of_bands=[{"nodata": "none"}]),
    "whose CRS is a word": item(properties__proj_of_epsg="here"),
    "whose CRS is negative": item(properties__proj_of_epsg=-1),
    "whose CRS is a list": item(properties__proj_of_epsg=[32643]),
    "whose CRS is of 40 digits": item(properties__proj_of_epsg=10**40),
    "whose transform is of words": item(properties__proj_of_transform=["a"] * 6),
    "whose transform is of zeros": item(properties__proj_of_transform=[0] * 6),
    "whose transform is no number": item(properties__proj_of_transform=[float("nan")] * 6),
    "whose pixels are endless": item(properties__proj_of_transform=[1e-9, 0, 600_015, 0, -1e-9, 3_570_015]),
    "whose cloud cover is a word": item(properties__eo_of_cloud_cover="none"),
    "whose platform is a list": item(properties__platform=["landsat-8"]),
    "whose path is a list": item(properties__landsat_of_wrs_path=["147"]),
    "whose tier is a table": item(properties__landsat_of_collection_category={}),
    "whose extensions are a number": item(stac_extensions=5),
    "whose version is a number": item(stac_version=1),
    "whose links are null": item(links=None),
    "whose collection is a list": item(collection=["a"]),
    "whose box is of words": item(bbox=["a", "b", "c", "d"]),
}


@pytest.fixture(scope="module")
def catalogue(raw: Callable[[Answer], str]) -> Callable[[Any, Any], str]:
    """Return ``serve(root, page)``: a STAC API with other fields in its root or its page of results."""

    def body(value: Any, base: dict[str, Any]) -> bytes:
        if isinstance(value, bytes):
            return value
        return json.dumps({**base, **value} if isinstance(value, dict) else value).encode()

    def serve(root: Any, page: Any) -> str:
        here = ""

        def answer(to: socket.socket, asked: str) -> None:
            links = [
                {"rel": "self", "href": here},
                {"rel": "search", "href": f"{here}/search", "type": "application/geo+json", "method": "POST"},
            ]
            about = {
                "type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "c", "links": links,
                "conformsTo": [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "item-search")],
            }  # fmt: skip
            changed = root
            if isinstance(root, dict) and "search" in root:
                changed = {"links": [links[0], {**links[1], "href": root["search"]}]}
            found = {"type": "FeatureCollection", "features": [item()], "links": []}
            if isinstance(page, dict) and "next" in page:
                href = f"{here}{page['next']}" if str(page["next"]).startswith("/") else page["next"]
                found["links"] = [{"rel": "next", "href": href}]
            sent = body(page, found) if "/search" in asked.partition("\r")[0] else body(changed, about)
            to.sendall(head("Content-Type: application/json", f"Content-Length: {len(sent)}", body=sent))

        here = raw(answer).removesuffix("/here")
        return here

    return serve


def fetched(url: str, folder: Path) -> IcectlError:
    """Fetch from a catalogue that is to be refused; nothing appears beside the run's own folder."""
    out = folder / "deep" / "out"
    out.mkdir(parents=True)
    before = time.monotonic()
    with pytest.raises((WorkError, DataError)) as refused:
        fetch_scenes(run_in(out), SceneQuery(api=url), BANDS, patience=HASTY)
    assert time.monotonic() - before < 20
    assert [path.name for path in folder.iterdir()] == ["deep"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert not list(out.rglob("*.tif"))
    plain(refused.value)
    return refused.value


@pytest.mark.parametrize("kind", ROOTS)
def test_a_catalogue_whose_root(kind, catalogue, tmp_path, bounds):
    fetched(catalogue(ROOTS[kind], {}), tmp_path)


@pytest.mark.parametrize("kind", PAGES)
def test_a_catalogue_whose_page(kind, catalogue, tmp_path, bounds):
    fetched(catalogue({}, PAGES[kind]), tmp_path)


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item(kind, catalogue, tmp_path, bounds):
    fetched(catalogue({}, {"features": [ITEMS[kind]]}), tmp_path)
