"""Servers that never end, unpack to far more, trickle, repeat a page, or send us elsewhere."""

from __future__ import annotations

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from icectl.errors import UsageError, WorkError
from icectl.sources.archive import retrieve
from icectl.sources.bounds import BoundedSession, Bounds, answer_bounds, expect_public
from icectl.sources.products import Service
from icectl.sources.remote import Patience
from icectl.sources.search import connect

QUICK = Patience(timeout=2, attempts=2, backoff=0.01)


class Hostile(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sent = 0

    def log_message(self, *_: object) -> None:
        pass

    def begin(self, **headers: str) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self) -> None:
        self.close_connection = True
        try:
            getattr(self, self.path.strip("/").partition("?")[0])()
        except OSError:
            return

    def endless(self) -> None:
        self.begin(Content_Type="application/json")
        while True:
            self.wfile.write(b"x" * 65536)
            Hostile.sent += 65536

    def bomb(self) -> None:
        self.begin(Content_Type="application/json", Content_Encoding="gzip")
        self.wfile.write(gzip.compress(b"\0" * 40_000_000))

    def trickle(self) -> None:
        self.begin(Content_Type="application/json")
        for _ in range(600):
            self.wfile.write(b" ")
            time.sleep(0.1)

    def sent_on(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def elsewhere(self) -> None:
        self.sent_on("https://other.example/x")

    def local_file(self) -> None:
        self.sent_on("file:///etc/passwd")

    def metadata(self) -> None:
        self.sent_on("http://169.254.169.254/latest")

    def catalogue(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        links = [
            {"rel": "search", "href": f"{here}/search", "type": "application/geo+json", "method": "POST"},
            {"rel": "self", "href": f"{here}/catalogue"},
        ]
        body = {
            "type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "c", "links": links,
            "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search", "https://api.stacspec.org/v1.0.0/core"],
        }  # fmt: skip
        self.page(body)

    def search(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        item = {
            "type": "Feature", "stac_version": "1.0.0", "id": "same", "geometry": None,
            "links": [], "assets": {},
            "properties": {"datetime": "2020-01-01T00:00:00Z"},
        }  # fmt: skip
        again = [{"rel": "next", "href": f"{here}/search?again"}]
        self.page({"type": "FeatureCollection", "features": [item], "links": again})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def page(self, body: dict) -> None:
        text = json.dumps(body).encode()
        self.begin(Content_Type="application/json", Content_Length=str(len(text)))
        self.wfile.write(text)


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("endless", "sends more than 5 MB"),
        ("bomb", "sends more than 5 MB"),
        ("trickle", "takes longer than 2 s"),
        ("elsewhere", "sends on to https://other.example"),
        ("local_file", "sends on to file:///etc/passwd, which is not followed"),
        ("metadata", "sends on to http://169.254.169.254"),
    ],
)
def test_a_catalogue_that_misbehaves_ends_with_a_sentence(server, monkeypatch, path, words):
    monkeypatch.setenv("ICECTL_MAX_ANSWER_MB", "5")
    monkeypatch.setenv("ICECTL_MAX_ANSWER_SECONDS", "2")
    before = Hostile.sent
    with pytest.raises(WorkError, match=words) as refused:
        connect(Service(url=f"{server}/{path}", name="hostile", collection="c"), QUICK)
    assert refused.value.hint
    assert Hostile.sent - before < 40_000_000


def test_a_page_that_repeats_is_cut_off(server, monkeypatch):
    from icectl.sources.search import _asking, _collected

    service = Service(url=f"{server}/catalogue", name="hostile", collection="c")
    client = connect(service, QUICK)
    with pytest.raises(WorkError, match="sends a page of results again and again"):
        _asking(service, lambda: _collected(client, service))


@pytest.mark.parametrize("path", ["endless", "bomb", "trickle", "local_file", "metadata"])
def test_a_download_that_misbehaves_leaves_nothing(server, tmp_path, monkeypatch, path):
    monkeypatch.setenv("ICECTL_MAX_DOWNLOAD_MB", "5")
    monkeypatch.setenv("ICECTL_MAX_DOWNLOAD_SECONDS", "2")
    with pytest.raises(WorkError, match="could not be fetched"):
        retrieve(f"{server}/{path}", tmp_path / "cache")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a.example/x", "http://10.0.0.1/", "http://[::1]/"]
)
def test_links_to_private_addresses_and_other_schemes_are_refused(url):
    with pytest.raises(requests.RequestException, match=r"private address|no web address"):
        expect_public(url, "catalogue.example")


def test_a_private_host_that_the_user_named_is_asked(server):
    with BoundedSession("127.0.0.1", 0, Bounds(1e6, 5)) as http:
        assert http.get(f"{server}/catalogue", timeout=5).json()["id"] == "c"


def test_limits_are_checked(server, monkeypatch):
    monkeypatch.setenv("ICECTL_MAX_ANSWER_MB", "-3")
    with pytest.raises(UsageError, match="ICECTL_MAX_ANSWER_MB is '-3'"):
        answer_bounds()
    with pytest.raises(UsageError, match="ICECTL_MAX_ANSWER_MB is '-3'"):
        connect(Service(url=f"{server}/bomb", name="any", collection="c"), QUICK)


def test_a_place_that_cannot_hold_a_download_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="/file") as refused:
        retrieve("https://example.org/a.zip", tmp_path / "file")
    assert "network" not in refused.value.hint
