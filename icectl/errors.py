"""Errors that a user reads: one sentence, and a hint that says what to do next.

Raise these for everything a user can cause or mend. The command line prints them
without a traceback and exits with `exit_code`; any other exception is a bug in icectl
or in a plugin and is worded as such.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_PASSWORD = re.compile(r"(?<=://)[^/\s@'\"]+@")
_KEY = re.compile(
    r"([?&;][\w-]*(?:sig|token|key|secret|password|credential)[\w-]*=)[^\s&'\"<>)]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """Return `text` without the passwords and keys that its links carry.

    >>> redact("https://me:mine@a.example/b.tif?se=2030&sig=abc")
    'https://…@a.example/b.tif?se=2030&sig=…'
    """
    return _KEY.sub(r"\1…", _PASSWORD.sub("…@", text))


class IcectlError(Exception):
    """Base of all errors meant for a user's eyes.

    Parameters
    ----------
    message
        One sentence that names what is wrong, with the value that is wrong.
    hint
        What to do next; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def interrupted(self) -> bool:
        """Whether a signal (Ctrl-C, SIGTERM) ended the work: what comes after it is not to be begun."""
        return self.exit_code > 128

    def __reduce__(self) -> tuple[type[IcectlError], tuple[str, str]]:
        """Keep the hint when the error crosses a process border."""
        return type(self), (self.message, self.hint)


class UsageError(IcectlError):
    """The command was used wrongly: an unknown name, a bad value, a missing choice."""

    exit_code = 2


class DataError(IcectlError):
    """Input data cannot be used as it is: damaged, empty, mismatched, implausible."""


class WorkError(IcectlError):
    """Work was started and could not be finished: no disk, no network, a killed worker."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint sentence for a mistyped `name`, or the list of what is known.

    >>> did_you_mean("convlsmt", ["convlstm", "unet"])
    "did you mean 'convlstm'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "nothing of that kind is known here"
