"""Errors that a user reads: one sentence, and a hint that says what to do next.

Raise these for everything a user can cause or mend. The command line prints them
without a traceback and exits with `exit_code`; any other exception is a bug in icectl
or in a plugin and is worded as such.
"""

from __future__ import annotations

import difflib
import errno
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_PASSWORD = re.compile(r"(\w\w:/{1,2})[^/\s@'\"]+@")  # of a link that was taken for a path one slash is left
_KEY = re.compile(
    r"([?&;][\w-]*(?:sig|token|key|secret|password|credential)[\w-]*=)[^\s&'\"<>)]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """Return `text` without the passwords and keys that its links carry.

    >>> redact("https://me:mine@a.example/b.tif?se=2030&sig=abc")
    'https://…@a.example/b.tif?se=2030&sig=…'
    """
    return _KEY.sub(r"\1…", _PASSWORD.sub(r"\1…@", text))


@contextmanager
def silenced(*libraries: str, below: int = logging.CRITICAL + 1) -> Iterator[None]:
    """Keep libraries from logging what is below a level: icectl says what goes wrong, without secrets."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith(libraries)]
    before = {logger: logger.level for logger in map(logging.getLogger, {*known, *libraries})}
    for logger in before:
        logger.setLevel(below)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _plain(text: str) -> str:
    """Return what others wrote (servers, file names) without signs that paint the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


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
        self.message, self.hint = _plain(message), _plain(hint)
        super().__init__(self.message)

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


class ContractError(WorkError):
    """A model's code does not keep to its contract: a wrong shape, a missing fact.

    The message begins with what it did, e.g. ``"returned (2, 1), expected (2, 2)"``; where the model is a
    plugin's, the plugin is named before it.
    """


class ProcessError(RuntimeError):
    """A training process failed with an error that is none for users.

    Attributes
    ----------
    said
        The error in one line, e.g. ``"KeyError: 'rate'"``.
    files
        The files that its traceback passed through.
    """

    def __init__(self, message: str, said: str = "", files: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.said, self.files = said, files


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Numbers of a disk, a quota or a file that is full."""
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
    "unable to allocate", "failed to map segment",
)  # fmt: skip
"""What messages say where memory was too small."""


def worded(error: BaseException, where: object = "") -> IcectlError | None:
    """Return what a failure of the system means for a user, or None if it is not one.

    Parameters
    ----------
    where
        The place that was worked in, named where the system names no file.

    Examples
    --------
    >>> worded(OSError(28, "No space left on device"), "/data").message
    'the disk of /data is full'
    """
    if isinstance(error, IcectlError):
        return error
    text = str(error)
    if isinstance(error, MemoryError) or any(part in text.lower() for part in OUT_OF_MEMORY):
        return WorkError(
            "the memory of this machine or device does not suffice",
            "take a smaller --batch-size, fewer --processes, or another --device",
        )
    if isinstance(error, RuntimeError) and "home directory" in text:  # of pathlib, for ~ and ~name
        return UsageError("a path begins with '~', and whose home that is is not known", "write it out")
    if not isinstance(error, OSError):
        return None
    place = error.filename or where or "the output"
    number = error.errno or next((n for n in FULL if f"errno = {n}," in text), 0)  # HDF5 says it in words
    if number in FULL:
        hint = "free some space (or lift the limit) and start the same command again: it goes on"
        return WorkError(f"the disk of {where or place} is full", hint)  # a copy names its source
    if number in _FORBIDDEN:
        kind = "is not writable" if where and not error.filename else "cannot be read or written"
        return WorkError(f"{place} {kind}: {error.strerror}", "mend its rights, or name another place")
    return WorkError(f"{place}: {error.strerror or text}", "check that place, and start the command again")


def brief(value: object) -> str:
    r"""Return a value as Python writes it, cut after 80 characters; of an error, the first line of its words.

    Of an error 200 characters stand, and its type where it has no words.

    >>> brief("x" * 3), brief(ValueError("no such file: a.tif\nin line 3")), brief(TimeoutError())
    ("'xxx'", 'no such file: a.tif', 'TimeoutError')
    """
    text, most = repr(value), 80
    if isinstance(value, BaseException):
        text, most = (str(value).strip() or type(value).__name__).splitlines()[0], 200
    return text if len(text) <= most else f"{text[:most]}…"


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
