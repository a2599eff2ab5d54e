"""Signed links of the Planetary Computer: tokens on demand, and new ones when a link is refused.

`planetary_computer` knows the protocol and keeps the tokens. Asking for one is done here, because
its own request has no timeout.
"""

import threading
import warnings
from typing import Any
from urllib.parse import urlsplit

from icectl.errors import WorkError
from icectl.sources.remote import Patience, reason, session


class Signer:
    """Turns the links of items into links that can be read.

    `active`: False for services whose links need no signature: they pass unchanged; `patience`: timeout and
    number of attempts when a token is asked for.
    """

    def __init__(self, active: bool, patience: Patience) -> None:
        self.active, self._patience = active, patience
        self._lock = threading.Lock()
        self.generation = 0
        """A number that grows with every renewal; hand it to `renew`."""
        if active:
            _sas()  # imported here, in one thread

    def sign(self, href: str) -> str:
        """Return `href` with a signature, if it is of a storage that wants one."""
        if not self.active:
            return href
        if self._needs_token(href):
            with self._lock:
                if self._needs_token(href):
                    self._ask(href)
        return str(_sas().sign_url(href))

    def covers(self, href: str) -> bool:
        """Tell whether `href` gets its signature here, so that a renewal here helps it."""
        return self.active and self._address(href) is not None

    def renew(self, generation: int) -> None:
        """Forget the tokens of `generation`; what another thread has renewed meanwhile is kept."""
        if not self.active:
            return
        with self._lock:
            if generation == self.generation:
                _sas().TOKEN_CACHE.clear()
                self.generation += 1

    @staticmethod
    def _address(href: str) -> str | None:
        """Return where the token for `href` is asked for, or None if it needs none."""
        parts: Any = urlsplit(href)
        if not (parts.hostname or "").endswith(_sas().BLOB_STORAGE_DOMAIN) or "sig=" in parts.query:
            return None
        account, container = _sas().parse_blob_url(parts)
        return f"{_sas().Settings.get().sas_url}/{account}/{container}"

    def _needs_token(self, href: str) -> bool:
        address = self._address(href)
        if address is None:
            return False
        token = _sas().TOKEN_CACHE.get(address)
        return token is None or token.ttl() < 60

    def _ask(self, href: str) -> None:
        """Put a fresh token where `planetary_computer.sign` looks for it."""
        import requests

        address = self._address(href)
        assert address is not None
        key = _sas().Settings.get().subscription_key
        headers = {"Ocp-Apim-Subscription-Key": key} if key else None
        try:
            with session(self._patience, address) as http:
                answer = http.get(address, headers=headers, timeout=self._patience.timeout)
                answer.raise_for_status()
                _sas().TOKEN_CACHE[address] = _sas().SASToken(**answer.json())
        except (requests.RequestException, ValueError, TypeError) as error:
            raise WorkError(
                f"no signature for links of {urlsplit(href).hostname}: {reason(error)}",
                "the service may be busy: try again later",
            ) from None


def _sas() -> Any:
    """Return `planetary_computer.sas`; its import warns of pydantic's older way of configuring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from planetary_computer import sas

    return sas
