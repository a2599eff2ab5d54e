"""Signals that wait while what they would leave half done is made."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_WAITING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let signals to this thread wait until the end of the block, which is short and starts no process.

    >>> try:
    ...     with signals_wait():
    ...         signal.raise_signal(signal.SIGINT)  # comes when the block has ended
    ...         made = True
    ... except KeyboardInterrupt:
    ...     print(made)
    True
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)  # one that came before is raised by this call
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def again_soon(number: int) -> None:
    """Send a signal to this thread once more, when what it must not disturb has ended."""
    again = threading.Timer(0.05, signal.pthread_kill, [threading.get_ident(), number])
    again.daemon = True
    again.start()
