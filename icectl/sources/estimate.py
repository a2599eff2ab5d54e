"""What a fetch would cost, wherever it takes its data from. Light: no service is imported until asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from icectl.contract import Estimate
from icectl.run import Run
from icectl.sources.options import source_of

TORCH = 700 * 2**20
"""A rough bound on the bytes that torch and its libraries take once imported."""


def estimate_source(run: Run, query: Any, bands: tuple[str, ...], synthetic: Estimate) -> Estimate:
    """Say what a fetch would cost, for ``--dry-run``: a folder, a synthetic world, or a search of a service.

    `query` and `bands`: what a service is asked for; see `icectl.sources.stac.estimate_fetch`. `synthetic`:
    what the task's synthetic world costs.
    """
    source = source_of(run, query)
    if source == "folder":
        return Estimate(writes=50_000, note="the files stay where they are; only a catalogue is written")
    if source == "synthetic":
        return synthetic
    from icectl.sources.remote import Patience
    from icectl.sources.stac import estimate_fetch

    return estimate_fetch(run, query, bands, patience=Patience(timeout=10, attempts=2))


def bytes_of(paths: Iterable[Path]) -> int | None:
    """Return the bytes of files, and of all files in folders; None where there are none."""
    files = [f for p in paths for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file()]
    return sum(file.stat().st_size for file in files) if files else None
