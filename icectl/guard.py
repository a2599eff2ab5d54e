"""Keeps a plugin's import from hurting others, and says whose code an error came from."""

from __future__ import annotations

import io
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from icectl.errors import IcectlError, WorkError

HEAVY = ("torch", "numpy", "pandas", "xarray", "rasterio", "cv2", "scipy", "torchvision")
"""Packages that a descriptor must not import: each `--help` and each Tab would pay for them."""

SLOW = 0.5
"""Processor seconds from which the import of a descriptor counts as slow: a busy machine slows nobody's."""


@dataclass
class Seen:
    """What an import did besides: processor seconds, what it printed, and which heavy packages it brought."""

    seconds: float = 0.0
    printed: str = ""
    heavy: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return what is wrong with it, or an empty string."""
        parts = [f"its descriptor imports {', '.join(self.heavy)}"] if self.heavy else []
        parts += [f"its descriptor takes {self.seconds:.1f} s to import"] if self.seconds > SLOW else []
        parts += ["its descriptor prints when it is imported"] if self.printed else []
        return "; ".join(parts)


@contextmanager
def watched_import() -> Iterator[Seen]:
    """Import with what is printed caught and the root logger's handlers kept; `SystemExit` is an error.

    A descriptor that prints would end up in ``--json`` and in completions; one that calls
    ``logging.basicConfig`` would double every line that icectl logs.
    """
    seen, text, root = Seen(), io.StringIO(), logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, set(sys.modules)
    started = time.process_time()
    try:
        with redirect_stdout(text), redirect_stderr(text):
            yield seen
    except SystemExit as stop:
        raise ImportError(f"it calls sys.exit({stop.code!r}) when it is imported") from stop
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        seen.seconds, seen.printed = time.process_time() - started, text.getvalue()
        seen.heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)


class PluginError(WorkError):
    """Code of a plugin failed; the message names the plugin, its distribution and its version."""


@contextmanager
def attributed(name: str, distribution: str, version: str, code: str, doing: str) -> Iterator[None]:
    """Turn an error that comes from a plugin's code into a `PluginError` that says so.

    Parameters
    ----------
    name, distribution, version
        The plugin's.
    code
        Dotted name of its model, whose package is its code.
    doing
        What is done, e.g. ``"train"``.

    Raises
    ------
    PluginError
        An exception passed through the plugin's code; errors for users, failures of the system and
        errors of icectl itself pass unchanged.
    """
    try:
        yield
    except (IcectlError, OSError, MemoryError):
        raise
    except Exception as error:
        if distribution == "icectl" or not _passed_through(error, code.partition(":")[0].partition(".")[0]):
            raise
        raise plugin_error(name, distribution, version, f"failed in {doing}: {_words(error)}") from error


def plugin_error(name: str, distribution: str, version: str, what: str) -> PluginError:
    """Return the error that says what a plugin did wrong, and whom to tell."""
    return PluginError(
        f"the plugin '{name}' of {distribution} {version} {what}",
        f"tell the authors of {distribution}; --debug shows the traceback",
    )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _passed_through(error: BaseException, package: str) -> bool:
    """Tell whether a traceback has a frame in a package (or lone module)."""
    spec = find_spec(package)
    if spec is None:
        return False
    roots = [Path(p) for p in spec.submodule_search_locations or ()] or [Path(spec.origin or "?")]
    files = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    return any(file == root or root in file.parents for file in files for root in roots)
