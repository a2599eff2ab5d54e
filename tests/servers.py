"""Servers on loopback that tests fetch from: files with ranges, faults and expiring links; a real STAC API.

`FileServer` hands out files under a folder as object stores do (byte ranges, signed links), and can be told
to misbehave. `stac_api` starts `rustac serve`. `landsat_item` and `write_source` make items and COGs that
look like the Planetary Computer's `landsat-c2-l2`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

SECRET = "thisissecret"
"""Part of every signature handed out: it must never be seen outside a request."""


@dataclass
class Fault:
    """What a request that matches does instead of answering well.

    `kind` is a status (403, 404, 429, 500 …), ``"hang"`` (no answer), ``"slow"`` (an answer after 0.3 s),
    ``"cut"`` (half of the bytes that were promised) or ``"reset"`` (connection closed). `match` is a regular
    expression on the path; `times` counts down, None is for ever; `least` is the smallest first byte of the
    range that it hits.
    """

    kind: int | str
    match: str = "."
    times: int | None = None
    least: int = 0


@dataclass
class Seen:
    """One answered request."""

    path: str
    first: int
    length: int
    status: int


@dataclass
class FileServer:
    """Files under `root` on http://127.0.0.1:<port>, with ranges.

    With `sign`, files need ``?se=…&sig=…`` with a token that ``/token/<account>/<container>`` hands out and
    that expires after `token_life` seconds. It also answers as a proxy, so that a host's name may be made up.
    """

    root: Path
    sign: bool = False
    token_life: float = 3600.0
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    port: int = 0

    def __enter__(self) -> FileServer:
        self._lock, self._closing = threading.Lock(), threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bytes_of(self, match: str = ".") -> int:
        """Bytes sent so far for paths that match."""
        return sum(s.length for s in self.seen if re.search(match, s.path))

    def paths(self, match: str = ".") -> set[str]:
        """Paths that were answered well so far."""
        return {s.path for s in self.seen if s.status < 300 and re.search(match, s.path)}

    def new_token(self) -> dict[str, str]:
        with self._lock:
            signature = f"{SECRET}{len(self.tokens)}"
            self.tokens[signature] = time.monotonic() + self.token_life
        expiry = datetime.now(UTC) + timedelta(hours=1)  # what is promised is more than what is kept
        text = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"msft:expiry": text, "token": f"se={urllib.parse.quote(text)}&sp=rl&sig={signature}"}

    def signed(self, query: str) -> bool:
        signature = urllib.parse.parse_qs(query).get("sig", [""])[0]
        return self.tokens.get(signature, 0.0) > time.monotonic()

    def fault(self, path: str, first: int) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times == 0 or first < fault.least or not re.search(fault.match, path):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self, body: bool = True) -> None:
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        first, last = self._range()
        fault = self.owner.fault(path, first)
        if fault is not None and fault.kind == "slow":
            time.sleep(0.3)
            fault = None
        if fault is not None and fault.kind == "hang":
            self.owner._closing.wait()
            self.close_connection = True
            return
        if fault is not None and fault.kind == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if fault is not None and isinstance(fault.kind, int):
            self._plain(path, fault.kind, b"no")
        elif path.startswith("/token/"):
            self._plain(path, 200, json.dumps(self.owner.new_token()).encode())
        elif self.owner.sign and not self.owner.signed(url.query):
            self._plain(path, 403, b"<Error><Code>AuthenticationFailed</Code></Error>")
        else:
            self._file(path, first, last, body, cut=fault is not None)

    def _range(self) -> tuple[int, int | None]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        return (int(match[1]), int(match[2]) if match[2] else None) if match else (0, None)

    def _plain(self, path: str, status: int, content: bytes) -> None:
        self.owner.seen.append(Seen(path, 0, len(content), status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _file(self, path: str, first: int, last: int | None, body: bool, cut: bool) -> None:
        file = (self.owner.root / path.lstrip("/")).resolve()
        if not file.is_relative_to(self.owner.root.resolve()) or not file.is_file():
            self._plain(path, 404, b"none")
            return
        size = file.stat().st_size
        last = min(size - 1, size if last is None else last)
        ranged = "Range" in self.headers
        self.send_response(206 if ranged else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if ranged:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if not body:
            return
        with file.open("rb") as data:
            data.seek(first)
            content = data.read(last - first + 1)
        if cut:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.owner.seen.append(Seen(path, first, len(content), 206 if ranged else 200))
        with contextlib.suppress(OSError):
            self.wfile.write(content)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def stac_api(
    items: list[dict[str, Any]], folder: Path, collection: str = "landsat-c2-l2", **said: Any
) -> Iterator[str]:
    """Run `rustac serve` over `items` of a collection that says `said`, and yield its address."""
    folder.mkdir(parents=True, exist_ok=True)
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    about = {"type": "Collection", "stac_version": "1.0.0", "id": collection, "description": "test"}
    about |= {"license": "proprietary", "extent": extent, "links": [], **said}
    (folder / "collection.json").write_text(json.dumps(about))
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    program = shutil.which("rustac", path=str(Path(sys.executable).parent)) or "rustac"
    port = free_port()
    command = [program, "serve", "collection.json", "items.json", "-a", f"127.0.0.1:{port}"]
    with (folder / "rustac.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            opener.open(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not start")


GRID = Affine(30, 0, 600_015, 0, -30, 3_570_015)
"""Pixel edges at 15 mod 30, as Landsat's are; the scenes lie around Parvati."""

SHAPE = (300, 280)
EPSG = 32643
BOX = (76.08, 32.20, 76.12, 32.24)
"""A box (west, south, east, north) well inside the scenes."""

OLI = {
    "green": "SR_B3",
    "swir16": "SR_B6",
    "nir08": "SR_B5",
    "qa_pixel": "QA_PIXEL",
    "qa_aerosol": "SR_QA_AEROSOL",
}
TM = {"green": "SR_B2", "swir16": "SR_B5", "nir08": "SR_B4", "qa_pixel": "QA_PIXEL"}


def write_source(
    path: Path,
    array: np.ndarray,
    *,
    nodata: float | None = 0,
    epsg: int | None = EPSG,
    transform: Affine = GRID,
    driver: str = "COG",
    **options: Any,
) -> Path:
    """Write a COG as an archive would hold it, with GDAL alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = {"blocksize": 128} if driver == "COG" else {"tiled": True, "blockxsize": 128, "blockysize": 128}
    with rasterio.open(
        path, "w", driver=driver, count=1, height=array.shape[0], width=array.shape[1],
        dtype=array.dtype.name, nodata=nodata, crs=f"EPSG:{epsg}", transform=transform, **(layout | options),
    ) as out:  # fmt: skip
        out.write(array, 1)
    return path


def landsat_item(
    name: str,
    time: datetime,
    href: str,
    *,
    bands: Mapping[str, str] = OLI,
    platform: str = "landsat-8",
    path_row: tuple[str, str] = ("147", "038"),
    epsg: int = EPSG,
    transform: Affine = GRID,
    shape: tuple[int, int] = SHAPE,
    **properties: Any,
) -> dict[str, Any]:
    """Return a STAC item in the Planetary Computer's style; files lie at ``<href>/<name>_<layer>.TIF``."""
    corners = _corners(epsg, transform, shape)
    box = [*np.min(corners, axis=0), *np.max(corners, axis=0)]
    reflectance = {
        "nodata": 0,
        "data_type": "uint16",
        "spatial_resolution": 30,
        "scale": 2.75e-05,
        "offset": -0.2,
    }
    flags = {"nodata": 1, "data_type": "uint16", "spatial_resolution": 30, "unit": "bit index"}
    assets = {
        band: {
            "href": f"{href}/{name}_{layer}.TIF",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "raster:bands": [dict(flags if band.startswith("qa") else reflectance)],
            "roles": ["data"],
        }
        for band, layer in bands.items()
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.0.0/schema.json",
        ],
        "id": name,
        "collection": "landsat-c2-l2",
        "geometry": {"type": "Polygon", "coordinates": [[*map(list, corners), list(corners[0])]]},
        "bbox": [float(v) for v in box],
        "properties": {
            "datetime": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "created": "2022-05-06T18:04:17.126358Z",
            "platform": platform,
            "instruments": ["oli", "tirs"],
            "gsd": 30,
            "eo:cloud_cover": 12.5,
            "proj:epsg": epsg,
            "proj:shape": list(shape),
            "proj:transform": list(transform)[:6],
            "landsat:wrs_path": path_row[0],
            "landsat:wrs_row": path_row[1],
            "landsat:collection_category": "T1",
            **properties,
        },
        "links": [],
        "assets": assets,
    }


def _corners(epsg: int, transform: Affine, shape: tuple[int, int]) -> list[tuple[float, float]]:
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    rows, columns = shape
    pixels = [(0, rows), (columns, rows), (columns, 0), (0, 0)]
    return [to_degrees.transform(*(transform * pixel)) for pixel in pixels]
