"""Bounds on what a server may send, how long it may take, and where it may send us on to.

A catalogue or a file server is somebody else's machine. Its answers are read piece by piece: one that never
ends, unpacks to far more than it took, or comes a byte at a time ends with a sentence. Redirects lead to the
same host only, and links to private addresses only where the user named such a host.
"""

import ipaddress
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from icectl.errors import UsageError, brief
from icectl.sources.timed import TimedAdapter

CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may come to.

    `size`: bytes, after unpacking; `seconds`: from the request to the last byte.
    """

    size: float
    seconds: float


def answer_bounds() -> Bounds:
    """Return the bounds of a catalogue's answer: 64 MB in five minutes, or what the environment says.

    ``ICECTL_MAX_ANSWER_MB`` and ``ICECTL_MAX_ANSWER_SECONDS`` set others.
    """
    return Bounds(_number("ICECTL_MAX_ANSWER_MB", 64) * 1e6, _number("ICECTL_MAX_ANSWER_SECONDS", 300))


def download_bounds() -> Bounds:
    """Return the bounds of a file: 50 GB in a day (``ICECTL_MAX_DOWNLOAD_MB``, ``…_SECONDS``)."""
    size = _number("ICECTL_MAX_DOWNLOAD_MB", 50_000) * 1e6
    return Bounds(size, _number("ICECTL_MAX_DOWNLOAD_SECONDS", 86_400))


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise UsageError(f"{name} is '{text}'", "set a number above 0, or unset it")
    return value


class Refused(requests.RequestException):
    """An answer, or an address, outside the bounds; trying again would not help."""


class BoundedSession(requests.Session):
    """A session whose answers are bounded, and whose redirects stay on the host that was asked.

    `named`: the host that the user named; links to private addresses are followed on that host only.
    `retries`: urllib3's rule for trying again.
    `elsewhere`: follow redirects to other public hosts, by https alone: for files of published data, which
        archives keep in stores of other names, and whose checksum is known.
    """

    def __init__(
        self, named: str, retries: Any, bounds: Bounds | None = None, elsewhere: bool = False
    ) -> None:
        super().__init__()
        self.named, self.bounds, self.elsewhere = named, bounds or answer_bounds(), elsewhere
        for scheme in ("http://", "https://"):
            self.mount(scheme, TimedAdapter(retries, answer_bounds().seconds, self.bounds.seconds))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and read its answer within the bounds."""
        expect_public(str(request.url), self.named)
        whole = not options.get("stream")
        answer = super().send(request, **{**options, "stream": True})
        if whole and not answer._content_consumed:  # type: ignore[attr-defined]
            answer._content = b"".join(pieces(answer, self.bounds))
            answer._content_consumed = True  # type: ignore[attr-defined]
        return answer

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer sends us on to; refuse another host, or a step down from https."""
        target = super().get_redirect_target(resp)
        if target is not None:
            now, new = urlsplit(str(resp.url)), parts_of(target, str(resp.url))
            own = new.hostname == now.hostname and new.scheme in {now.scheme, "https"}
            if not own and not (self.elsewhere and new.scheme == "https"):
                other = f"{new.scheme}://{new.hostname}" if new.hostname else brief(target)[1:-1]
                resp.close()
                raise Refused(f"{now.hostname} sends on to {other}, which is not followed")
        return target


def pieces(answer: requests.Response, bounds: Bounds) -> Iterator[bytes]:
    """Yield the body of a streamed answer as it comes, unpacked, within the bounds."""
    deadline, size = time.monotonic() + bounds.seconds, 0
    host = urlsplit(str(answer.url)).hostname
    while piece := _next(answer):
        size += len(piece)
        if size > bounds.size:
            answer.close()
            raise Refused(f"{host} sends more than {bounds.size / 1e6:,.0f} MB, and was cut off")
        if time.monotonic() > deadline:
            answer.close()
            raise Refused(f"{host} takes longer than {bounds.seconds:,.0f} s to answer, and was cut off")
        yield piece
    packed = getattr(getattr(answer.raw, "_decoder", None), "_obj", None)
    if getattr(packed, "eof", True) is False:
        raise requests.ConnectionError("the answer broke off")


def _next(answer: requests.Response) -> bytes:
    try:
        return bytes(answer.raw.read1(CHUNK, decode_content=True))
    except HTTPError as error:  # urllib3's: cut off, timed out, wrongly packed
        raise requests.ConnectionError(f"the answer broke off: {error}") from error


def parts_of(url: str, base: str = "") -> SplitResult:
    """Return the parts of an address, which are empty where it is none; `base`: where it was named."""
    try:
        parts = urlsplit(urljoin(base, url))
        _ = parts.port  # is looked at when it is asked for
        return parts
    except ValueError:  # half of an IPv6 address, a port of five digits
        return SplitResult("", "", "", "", "")


def expect_public(url: str, named: str) -> None:
    """Refuse an address that is no web address, or a private one on another host than the user named.

    Refused: names the host.
    """
    parts = parts_of(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{parts.scheme or 'a link'}: is no web address")
    if parts.hostname != named and is_private(parts.hostname):
        raise Refused(f"{named} links to {parts.hostname}, a private address")


@lru_cache(maxsize=1024)
def is_private(host: str) -> bool:
    """Tell whether `host` is, or stands for, an address that is not of the public network."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False  # no such host: the request will say so
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in found)


def download(url: str, file: Any, timeout: float, headers: Mapping[str, str]) -> None:
    """Write what `url` holds into the open binary `file`, within `download_bounds`.

    requests.RequestException: the server does not answer, answers with an error, or leaves the bounds.
    """
    bounds = download_bounds()
    with BoundedSession(str(urlsplit(url).hostname), 0, bounds, elsewhere=True) as http:
        with http.get(url, stream=True, timeout=timeout, headers=dict(headers)) as answer:
            answer.raise_for_status()
            if answer.status_code != requests.codes.ok:  # nothing, a part, or a redirect to nowhere
                raise requests.HTTPError(response=answer)
            size = 0
            for piece in pieces(answer, bounds):
                size += len(piece)
                file.write(piece)
        promised = "" if "Content-Encoding" in answer.headers else answer.headers.get("Content-Length", "")
        if promised and not (promised.isdigit() and size >= int(promised)):
            raise requests.ConnectionError(f"only {size} of {promised} bytes came")
