"""Reading over the network: timeouts, retries with back-off, and secrets that stay out of sight.

A signed link carries its secret in the query string. Text that may hold one (GDAL's and requests'
errors) goes through `scrub` before anybody sees it, and the loggers of the libraries that would
print links are silent while scenes are read.
"""

import random
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from rasterio.errors import NotGeoreferencedWarning

from icectl.errors import WorkError, brief, silenced

T = TypeVar("T")

_QUERY = re.compile(r"\?[^\s'\"<>)]*")
_SIGNATURE = re.compile(r"\b(sig|se|st|sp|sv|token|key)=[^\s&'\"<>)]+", re.IGNORECASE)
_OWN = re.compile(r"Connection(Pool)?\(|Connection aborted|object at 0x")
_LOUD = ("rasterio", "odc", "urllib3", "pystac_client", "requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, how often to try again, and how much to do at a time.

    `timeout`: seconds without an answer (or with a trickle of bytes) until a request counts as failed.
    `attempts`: times that one scene is tried. `backoff`: seconds before the second try; doubled each time,
    with a random share, at most 60. `parallel`: scenes that are read at a time.
    """

    timeout: float = 30.0
    attempts: int = 5
    backoff: float = 1.0
    parallel: int = 6


def scrub(text: str) -> str:
    """Return `text` without the query strings of its links.

    >>> scrub("403 for https://a.example/b.tif?se=2030&sig=abc")
    '403 for https://a.example/b.tif'
    """
    return _SIGNATURE.sub(r"\1=…", _QUERY.sub("", text))


def gdal_settings(patience: Patience) -> dict[str, Any]:
    """Return GDAL's settings for reading windows of remote COGs.

    429 and 5xx are tried again by GDAL itself. Files beside the COG (masks, metadata) are not asked for.
    """
    seconds = max(1, round(patience.timeout))
    return {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_CONNECTTIMEOUT": seconds,
        "GDAL_HTTP_LOW_SPEED_TIME": seconds,
        "GDAL_HTTP_LOW_SPEED_LIMIT": 100,
        "GDAL_HTTP_TIMEOUT": 20 * seconds,
        "GDAL_HTTP_MAX_RETRY": 2,
        "GDAL_HTTP_RETRY_DELAY": min(patience.backoff, 5.0),
        "GDAL_HTTP_MULTIPLEX": "NO",
        "GDAL_CACHEMAX": 128,
    }


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Keep the libraries that log links from doing so; what goes wrong is said by icectl, scrubbed."""
    with silenced(*_LOUD), warnings.catch_warnings():
        # Said in words by the fetch; the filter is set once here, since it is shared by all threads.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def is_refused(text: str) -> bool:
    """Tell whether an error says that a link is not (any more) allowed."""
    return re.search(r"\b(401|403)\b", text) is not None


def chain(error: BaseException) -> list[BaseException]:
    """Return an error and those that it came of, down to the first."""
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None:
        found.append(cause)
    return found


def reason(error: BaseException) -> str:
    """Return in one line what went wrong, scrubbed: the system's word for it, or the errors down to it.

    What requests and urllib3 say of their own parts (pools, connections, attempts) is left out.
    """
    errors = chain(error)
    root, answer = errors[-1], getattr(error, "response", None)
    if answer is not None:
        return f"{answer.status_code} {answer.reason or ''}".strip()
    if isinstance(root, OSError) and root.strerror:  # no name, no route, refused: what lies above repeats it
        return scrub(root.strerror)
    lines = [brief(one) for one in errors if str(one).strip() and not _OWN.search(str(one))]
    said = scrub("; ".join(list(dict.fromkeys(lines))[-2:]) or type(root).__name__)
    return "it did not answer in time" if said in ("timed out", "TimeoutError") else said


def patiently(
    work: Callable[[], T],
    patience: Patience,
    failures: tuple[type[BaseException], ...],
    renew: Callable[[], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call `work` until it succeeds, with growing pauses between the attempts.

    `failures`: the errors after which trying again makes sense. `renew`: called after a refusal (401, 403):
    asks for new links. The first one is not paused after.

    WorkError: the last failure, in words, after the last attempt.
    """
    renewed = 0
    for attempt in range(1, patience.attempts + 1):
        try:
            return work()
        except failures as error:
            last = reason(error)
        if attempt == patience.attempts:
            break
        if renew is not None and is_refused(last):
            renew()
            renewed += 1
            if renewed == 1:
                continue
        sleep(min(60.0, patience.backoff * 2 ** (attempt - 1) * (0.5 + random.random())))
    raise WorkError(last)


def session(patience: Patience, address: str) -> Any:
    """Return a session for `address` that tries again after 429 and 5xx, for POST too, within bounds."""
    from icectl.sources.bounds import BoundedSession

    return BoundedSession(str(urlsplit(address).hostname), retries(patience))


def retries(patience: Patience) -> Any:
    """Return urllib3's rule for trying again; a server's own ``Retry-After`` is followed up to a minute."""
    from urllib3.util.retry import Retry

    class Bounded(Retry):
        def parse_retry_after(self, retry_after: str) -> float:
            return min(60.0, super().parse_retry_after(retry_after))

    return Bounded(
        total=patience.attempts - 1,
        backoff_factor=patience.backoff,
        backoff_max=60,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
    )
