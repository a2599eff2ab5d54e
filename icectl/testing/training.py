"""Checks of training: it learns, repeats itself, resumes bit-equal, and does not count processes."""

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from icectl.run import Compute
from icectl.testing.subject import WEIGHTS, Subject
from icectl.training import load_weights
from icectl.training.settings import STATE, Interrupted

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


def weights(folder: Path) -> dict[str, Any]:
    """Return the tensors of a training's weights."""
    path = folder / WEIGHTS
    assert path.is_file(), f"train left no {WEIGHTS}"
    return load_weights(path)[0]


def losses(folder: Path) -> list[tuple[int, str, float]]:
    """Return (update, name, value) of every training scalar in the log."""
    from icectl.training.record import LOG, read

    path = folder / LOG
    assert path.is_file(), f"train left no {LOG}"
    return [
        (line["step"], name, float("nan") if value is None else float(value))
        for line in read(path)
        for name, value in line.items()
        if name.startswith("train/")
    ]


def training_learns(subject: Subject) -> None:
    """Check that forward and backward work: losses are finite, and an update changes the weights."""
    found = losses(subject.trained)
    assert found, "train logged no loss (a line 'train/…' in log.jsonl)"
    bad = [name for _, name, value in found if not math.isfinite(value)]
    assert not bad, f"{bad[0]} is not finite"
    one, three = weights(subject.train("short", updates=1)), weights(subject.longer)
    moved = [name for name in one if not _equal(one[name], three[name])]
    assert moved, "two more updates changed no weight: is there a gradient, and a step?"


def nothing_is_pickled(subject: Subject) -> None:
    """Check that what a run saves is data, never code."""
    found = [path.name for path in subject.trained.rglob("*") if path.suffix in PICKLES]
    assert not found, f"train wrote {', '.join(found)}: use icectl.training.save_weights"


def training_is_deterministic(subject: Subject) -> None:
    """Check that two trainings of one seed give the same weights, to the last bit."""
    again = weights(subject.train("again", updates=2))
    _assert_same(weights(subject.trained), again, "two trainings of one seed differ")


def training_resumes_bit_equal(subject: Subject) -> None:
    """Check that a training that was stopped after one update and gone on with equals an unbroken one."""
    unbroken = weights(subject.longer)
    stopped = False
    with _signal_after(1):
        try:
            subject.train("broken", updates=3)
        except Interrupted:
            stopped = True
    assert stopped, "train went on after SIGTERM: use icectl.training.fit, which saves and stops"
    assert (subject.folder / "broken" / STATE).is_file(), f"a stopped training left no {STATE}"
    resumed = weights(subject.train("broken", updates=3))
    _assert_same(unbroken, resumed, "a resumed training differs from an unbroken one")


@contextmanager
def _signal_after(updates: int) -> Iterator[None]:
    """Deliver SIGTERM to `icectl.training.fit` after so many updates (of the first training in it)."""
    from icectl.training.signals import Signals

    seen = 0

    def agreed(self: Signals) -> int:
        nonlocal seen
        seen += 1
        return int(signal.SIGTERM) if seen == updates else 0

    with patch.object(Signals, "agreed", agreed):
        yield


def one_process_equals_two(subject: Subject) -> None:
    """Check that two processes give the weights of one: to 1e-6 after two updates in float64."""
    one, two = (subject.train(f"double-{n}", 2, _compute(n, "64-true")) for n in (1, 2))
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys(), "two processes save other tensors than one"
    gaps = {name: float((first[name].double() - second[name].double()).abs().max()) for name in first}
    worst = max(gaps, key=lambda name: gaps[name])
    assert gaps[worst] <= 1e-6, (
        f"'{worst}' differs by {gaps[worst]:.1e} between one process and two: divide losses by the global "
        "count (context.mean) and key draws by sample (context.noise)"
    )


def losses_agree_in_float32(subject: Subject) -> None:
    """Check that over ten updates in float32 the losses of two processes agree with those of one to 1e-4."""
    one, two = (losses(subject.train(f"single-{n}", 10, _compute(n, "32-true"))) for n in (1, 2))
    assert [key[:2] for key in one] == [key[:2] for key in two], "two processes log other lines than one"
    gap = max(abs(a[2] - b[2]) / max(1.0, abs(a[2])) for a, b in zip(one, two, strict=True))
    assert gap <= 1e-4, f"losses of one process and of two differ by {gap:.1e} over ten updates"


def _compute(processes: int, precision: str) -> Compute:
    return Compute(device="cpu", processes=processes, precision=precision)


def _equal(a: Any, b: Any) -> bool:
    import torch

    return bool(torch.equal(a, b))


def _assert_same(one: dict[str, Any], other: dict[str, Any], words: str) -> None:
    assert one.keys() == other.keys(), f"{words}: other tensors"
    differing = [name for name in one if not _equal(one[name], other[name])]
    assert not differing, f"{words} (in '{differing[0]}' and {len(differing) - 1} more tensors)"
