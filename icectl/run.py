"""Run: all that one stage of one model is handed.

A `Run` is made by `icectl.stages`, or by a test. It holds plain values, so that it
crosses process borders; it opens nothing and imports nothing heavy.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from icectl.contract import Options, Plugin
from icectl.errors import redact
from icectl.settings import Glacier

_LOG = logging.getLogger("icectl")

OptionsOf = TypeVar("OptionsOf", bound=Options)

PROGRESS_AFTER = 2.0
"""Seconds of work before a progress bar appears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What the user asked for: devices, precision, processes, and a Dask cluster.

    `device` is ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``; `processes` counts training
    processes (one per GPU, or gloo processes on a CPU); `precision` is Fabric's name
    (``"32-true"``, ``"bf16-mixed"``, ``"64-true"`` …); `cluster` is ``"tcp://…"``, ``"local:N"``
    or None. `icectl.training.devices` turns this into a decision and a reason.
    """

    device: str = "auto"
    processes: int = 1
    precision: str = "32-true"
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One stage of one model on one glacier.

    Parameters
    ----------
    verb, plugin, glacier
        What is run, by whom, where.
    out
        The only folder the stage may write into. It exists.
    inputs
        Folders that earlier stages wrote, by verb, e.g. ``inputs["prepare"]``.
    options
        The resolved options of every stage, by verb.
    scenes
        The user's own folder of input files (``--scenes``), if any.
    seed
        The seed of every random draw.
    compute
        Requested devices and processes.
    quiet
        No progress bars.
    logger
        What records curves and scores as well: ``"mlflow"``, ``"wandb"``, ``"tensorboard"``.
    notes
        Facts the stage wants in its record (``stage.json``) and the report: plain JSON.
    """

    verb: str
    plugin: Plugin
    glacier: Glacier
    out: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    options: Mapping[str, Options] = field(default_factory=dict)
    scenes: Path | None = None
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    quiet: bool = False
    logger: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def given(self, kind: type[OptionsOf]) -> OptionsOf:
        """Return the options of the stage whose class is `kind`, or one derived from it."""
        return next(one for one in self.options.values() if isinstance(one, kind))

    def say(self, text: str) -> None:
        """Tell the user what is happening (stderr and the run's log)."""
        _LOG.info(redact(text))

    def warn(self, text: str) -> None:
        """Tell the user of something they should look at; also kept in the record."""
        _LOG.warning(redact(text))
        self.notes.setdefault("warnings", []).append(redact(text))

    def at(self, **changes: Any) -> Run:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    @contextmanager
    def progress(self, title: str, total: float | None = None) -> Iterator[Callable[..., None]]:
        """Show a progress bar with time left on stderr; silent when piped or quiet.

        Yields a function ``advance(by=1, title=None)``.

        Examples
        --------
        >>> with run.progress("reading", total=3) as advance:  # doctest: +SKIP
        ...     for scene in scenes:
        ...         advance()
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda by=1, title=None: None
            return
        with _bar(title, total) as advance:
            yield advance


@contextmanager
def _bar(title: str, total: float | None) -> Iterator[Callable[..., None]]:
    """Draw the bar once the work has lasted `PROGRESS_AFTER` seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=total)
    started, shown = time.monotonic(), False

    def advance(by: float = 1, title: str | None = None) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > PROGRESS_AFTER:
            bar.start()
            shown = True
        bar.update(task, advance=by, description=title)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()
