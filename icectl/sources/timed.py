"""Answers that have to come in time: heads and trailers may come a byte at a time, or never end."""

import io
import time
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter


class _Timed(io.RawIOBase):
    """What comes over a connection until a moment."""

    def __init__(self, plain: io.RawIOBase, until: float) -> None:
        self._plain, self.until = plain, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self.until:
            raise TimeoutError("timed out")
        return self._plain.readinto(buffer)

    def close(self) -> None:
        self._plain.close()
        super().close()


class _Answer(HTTPResponse):
    head = body = 0.0

    def begin(self) -> None:
        timed = _Timed(self.fp.detach(), time.monotonic() + self.head)
        self.fp = io.BufferedReader(timed)
        super().begin()
        timed.until = time.monotonic() + self.body


class TimedAdapter(HTTPAdapter):
    """Connections whose answers have so many seconds for their head, and for what follows.

    `retries`: urllib3's rule for trying again.
    """

    def __init__(self, retries: Any, head: float, body: float) -> None:
        self._answer = type("Answer", (_Answer,), {"head": head, "body": body})
        super().__init__(max_retries=retries)

    def get_connection_with_tls_context(self, *arguments: Any, **more: Any) -> Any:
        """Return the pool of connections for a request."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **more)
        if pool.ConnectionCls.response_class is not self._answer:
            pool.ConnectionCls = type("Timed", (pool.ConnectionCls,), {"response_class": self._answer})
        return pool
