"""Keeps a plugin's import from hurting others, and says whose code an error came from."""

import builtins
import io
import logging
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from icectl.errors import ContractError, WorkError, brief, worded

HEAVY = ("torch", "numpy", "pandas", "xarray", "rasterio", "cv2", "scipy", "torchvision")
"""Packages that a descriptor must not import: each `--help` and each Tab would pay for them."""

SLOW = 0.5
"""Processor seconds from which the import of a descriptor counts as slow: a busy machine slows nobody's."""


TORCH = 4.45e9
"""Bytes of address space with which fronts of a small image are predicted; with less, libraries abort."""


class _BeforeTorch(MetaPathFinder):
    """Refuses torch where the address space is limited to less than it takes: it would abort."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name != "torch":
            return
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY and limit < TORCH:
            raise WorkError(
                f"the limit on address space (ulimit -v) is {limit / 1e9:.1f} GB, and torch needs about "
                f"{TORCH / 1e9:.1f} GB, most of which it never uses",
                "lift it: ulimit -v unlimited (schedulers and systemd-run limit the memory that is used)",
            )


def watch_torch() -> None:
    """Refuse torch with a sentence where it cannot load, wherever it is imported first."""
    sys.meta_path.insert(0, _BeforeTorch())


@dataclass
class Seen:
    """What an import did besides: processor seconds, whether it printed or set up logging, heavy packages."""

    seconds: float = 0.0
    printed: bool = False
    logs: bool = False
    heavy: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return what is wrong with it, or an empty string."""
        parts = [f"its descriptor imports {', '.join(self.heavy)}"] if self.heavy else []
        parts += [f"its descriptor takes {self.seconds:.1f} s to import"] if self.seconds > SLOW else []
        parts += ["its descriptor prints when it is imported"] if self.printed else []
        parts += ["its descriptor sets up logging when it is imported"] if self.logs else []
        return "; ".join(parts)


@contextmanager
def watched_import() -> Iterator[Seen]:
    """Import with what is printed caught and the root logger as it was; leaving the program is an error.

    A descriptor that prints would end up in ``--json`` and in completions; one that calls
    ``logging.basicConfig`` would double every line that icectl logs.
    """
    seen, root = Seen(), logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, set(sys.modules)
    started = time.process_time()
    with _caught() as printed, _asked_for() as asked:
        try:
            yield seen
        except SystemExit as stop:
            raise ImportError(f"it calls sys.exit({stop.code!r}) when it is imported") from stop
        except BaseException as stop:
            if isinstance(stop, Exception | KeyboardInterrupt):
                raise
            raise ImportError(f"it raises {type(stop).__name__} when it is imported: {stop}") from stop
        finally:
            seen.seconds = time.process_time() - started
            seen.logs = (root.handlers, root.level) != (handlers, level)
            root.handlers[:] = handlers
            root.setLevel(level)
            brought = asked | (set(sys.modules) - before)
            seen.heavy = tuple(name for name in HEAVY if name in brought and name in sys.modules)
    seen.printed = bool(printed)


@contextmanager
def _asked_for() -> Iterator[set[str]]:
    """Note the top names of import statements: a package that another plugin brought is no new module."""
    asked: set[str] = set()
    plain = builtins.__import__

    def noting(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if not level:
            asked.add(name.partition(".")[0])
        return plain(name, globals, locals, fromlist, level)

    builtins.__import__ = noting
    try:
        yield asked
    finally:
        builtins.__import__ = plain


@contextmanager
def _caught() -> Iterator[list[bytes | str]]:
    """Catch what is printed, by compiled libraries and other programs too; yield the list of it."""
    text = io.StringIO()
    found: list[bytes | str] = []
    with _scratch() as file, ExitStack() as kept:
        for number in (1, 2):
            with suppress(OSError):  # closed: nothing can be printed there
                saved = os.dup(number)
                kept.callback(os.close, saved)
                kept.callback(os.dup2, saved, number)
                os.dup2(file.fileno(), number)
        try:
            with redirect_stdout(text), redirect_stderr(text):
                yield found
        finally:
            file.seek(0)
            found += [part for part in (text.getvalue(), file.read()) if part]


def _scratch() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # a full disk must not end a listing
        return open(os.devnull, "r+b")


class PluginError(WorkError):
    """Code of a plugin failed; the message names the plugin, its distribution and its version."""


@contextmanager
def attributed(name: str, distribution: str, version: str, code: str, doing: str) -> Iterator[None]:
    """Turn an error that comes from a plugin's code into a `PluginError` that says so.

    `name`, `distribution` and `version`: the plugin's. `code`: dotted name of its model, whose package is
    its code. `doing`: what is done, e.g. ``"train"``.

    PluginError: an exception passed through the plugin's code, or it broke its contract; errors for users,
    failures of the system and errors of icectl itself pass unchanged.
    """
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints is no result: --json stays JSON
            yield
    except PluginError:
        raise
    except SystemExit as stop:
        what = f"calls sys.exit({stop.code!r}) in {doing}"
        raise plugin_error(name, distribution, version, what) from stop
    except ContractError as error:
        raise plugin_error(name, distribution, version, error.message, error.hint) from error
    except Exception as error:
        system = worded(error) is not None and not isinstance(error, _OF_A_NAME)
        if distribution == "icectl" or system or not _is_of(error, code.partition(":")[0].partition(".")[0]):
            raise
        raise plugin_error(name, distribution, version, f"failed in {doing}: {_words(error)}") from error


def plugin_error(name: str, distribution: str, version: str, what: str, mend: str = "") -> PluginError:
    """Return the error that says what a plugin did wrong, whom to tell, and how it may be mended."""
    return PluginError(
        f"the plugin '{name}' of {distribution} {version} {what}",
        f"tell the authors of {distribution}{f': {mend}' if mend else ''}; --debug shows the traceback",
    )


_OF_A_NAME = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""Failures of the system that say that a wrong file was named."""


def _words(error: Exception) -> str:
    if said := getattr(error, "said", ""):
        return str(said)
    return f"{type(error).__name__}: {brief(error)}"


_CALL = re.compile(r"([\w.]+)\(\) (?:takes|got|missing) ")
"""How Python says that a function does not take the arguments it was given."""


def _holds(module: str, dotted: str) -> bool:
    """Tell whether a module defines the function of that name, e.g. ``Network.forward``."""
    found: Any = sys.modules[module]
    for name in dotted.split("."):
        found = getattr(found, name, None)
    return getattr(found, "__module__", None) == module


def passed_through(error: BaseException) -> list[str]:
    """Return the files of a traceback, that of another process too, and the file of an error of syntax."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files += getattr(error, "files", ())
    return [*files, error.filename] if isinstance(error, SyntaxError) and error.filename else files


def _is_of(error: BaseException, package: str) -> bool:
    """Tell whether an error passed through the files of a package (or lone module), or a call of it made it.

    Python raises what it says of wrong arguments where the call stands, which is not in the package.
    """
    called = _CALL.match(str(error)) if isinstance(error, TypeError) else None
    if called and any(_holds(name, called[1]) for name in sys.modules if name.split(".")[0] == package):
        return True
    spec = find_spec(package)
    if spec is None:
        return False
    roots = [Path(p) for p in spec.submodule_search_locations or ()] or [Path(spec.origin or "?")]
    files = {Path(name) for name in passed_through(error)}
    return any(file == root or root in file.parents for file in files for root in roots)
