"""The terminal: one verb a file, options declared once, errors in one sentence and a hint."""

from __future__ import annotations

import atexit
import codecs
import io
import os
import signal
import sys
import threading
from contextlib import suppress
from itertools import pairwise
from typing import Any, NoReturn

from icectl.interrupts import again_soon

DEBUG = "ICECTL_DEBUG"

_received: list[int] = []
"""The signal, other than Ctrl-C, that ended the command."""


class _Messages(io.TextIOWrapper):
    """Standard error of which what cannot be written is left out: a full disk there ends no work."""

    def __init__(self, plain: Any) -> None:
        super().__init__(plain.buffer, plain.encoding, line_buffering=True)
        self._plain = plain  # it would close what both write to when it is let go

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def main() -> NoReturn:
    """Run the command line; the console script ``icectl`` points here."""
    from icectl.guard import watch_torch

    arguments = sys.argv[1:]
    debug = "--debug" in arguments or bool(os.environ.get(DEBUG))
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  (none where the caller closed them)
    sys.stderr = _Messages(sys.stderr) if sys.stderr else open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("icectl", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="icectl")
    # Read when torch is first imported: threads that spin cost several times the time on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    watch_torch()
    _end_by_exception()
    code = call([a for a in arguments if a != "--debug"], debug)
    if zarr := sys.modules.get("zarr.core.sync"):
        # On a busy machine it says that it cannot close a loop that still runs; that ends with us.
        atexit.unregister(zarr.cleanup_resources)
    sys.exit(code if _flushed() else code or 1)


def call(arguments: list[str], debug: bool = False) -> int:
    """Run one command and return its exit code; errors of ours become two lines on stderr."""
    from icectl.cli import app, options, show
    from icectl.errors import IcectlError, worded

    try:
        _expect_values(arguments)
        return app.invoke([options.local(word) for word in arguments])
    except KeyboardInterrupt:
        name = f" by {signal.Signals(_received[-1]).name}" if _received else ""
        show.error(
            IcectlError(f"interrupted{name}", "start the same command again: it goes on where it stopped")
        )
        return 128 + (_received[-1] if _received else signal.SIGINT)
    except Exception as error:
        if debug:
            show.trace()
        problem = worded(error) or IcectlError(
            f"unexpected {type(error).__name__}: {error}", "run again with --debug and report it"
        )
        show.error(problem)
        return problem.exit_code


_SIGNS = {
    "−": "-", "–": "-", "—": "-", "·": "-", "…": "...", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≈": "~",
    "↓": "v", "↑": "^", "→": "->", "æ": "ae", "ø": "oe", "ß": "ss",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what a terminal shows that lacks our signs: a minus is a minus, a letter loses its accent."""
    from unicodedata import normalize

    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    letters = (_SIGNS.get(c) or normalize("NFKD", c).encode("ascii", "ignore").decode() or "?" for c in lost)
    return "".join(letters), error.end


def _end_by_exception() -> None:
    """Leave on SIGTERM and SIGHUP as on Ctrl-C, so that what was begun is cleared away."""

    def end(number: int, _frame: object) -> None:
        _received.append(number)
        raise KeyboardInterrupt

    def fallen(what: sys.UnraisableHookArgs) -> None:
        if threading.current_thread() is not threading.main_thread() or not issubclass(
            what.exc_type, KeyboardInterrupt
        ):
            sys.__unraisablehook__(what)
            return
        # It came within a callback of C, which lets exceptions fall. It is sent again once that has ended:
        # from another thread, as this hook runs within the callback too.
        again_soon(_received[-1] if _received else signal.SIGINT)

    sys.unraisablehook = fallen
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # else it is ignored, as under nohup
            signal.signal(number, end)


def _expect_values(arguments: list[str]) -> None:
    """Refuse an option with an empty value: an empty path would mean the working folder."""
    from icectl.errors import UsageError

    for flag, value in pairwise([*arguments, " "]):
        if flag.startswith("--") and (flag.endswith("=") or (value == "" and "=" not in flag)):
            raise UsageError(f"{flag.rstrip('=')} is given no value", "name one, or leave the option out")


def _flushed() -> bool:
    """Write out what was printed; say so if that cannot be done. A reader that has gone is no fault."""
    from icectl.cli import show
    from icectl.errors import WorkError

    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter would fail at its end
        if not isinstance(error, BrokenPipeError):
            show.error(
                WorkError(f"standard output cannot be written: {error.strerror}", "direct it elsewhere")
            )
            return False
    return True
