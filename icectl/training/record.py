"""The record of a training: ``log.jsonl``, and what ``--logger`` names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl.training.following import Following
from icectl.workspace import writing

if TYPE_CHECKING:
    from torch import Tensor

    from icectl.run import Run

LOG = "log.jsonl"


class Record:
    """Writes lines and curves, on rank 0 only; a resumed run first drops what lies ahead of it."""

    def __init__(self, run: Run, step: int, active: bool) -> None:
        self.path, self.active = run.out / LOG, active
        self.following: Following | None = None
        if not active:
            return
        truncate(self.path, step)
        self._file = self.path.open("a", encoding="utf-8")
        if run.logger:
            self.following = Following(run, step)

    def line(
        self,
        step: int,
        epoch: int,
        values: Mapping[str, float],
        rates: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Append one line; values that are not finite become null."""
        if not self.active:
            return
        plain = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = {"step": step, "epoch": epoch, **plain, **rates, "seconds": round(seconds, 3)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self.following is not None:
            finite = {name: float(v) for name, v in {**values, **rates}.items() if math.isfinite(v)}
            self.following.scalars(finite, step)

    def image(self, step: int, title: str, image: Tensor) -> None:
        """Hand an image (3 or 1, rows, columns) in [0, 1] to what follows the training."""
        if self.following is not None:
            shown = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte()
            self.following.image(title, shown.expand(3, -1, -1).permute(1, 2, 0).numpy(), step)

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        """Flush and close; `scores` are those of the best weights."""
        if self.active:
            self._file.close()
        if self.following is not None:
            self.following.close(finished, scores)


def truncate(path: Path, step: int) -> None:
    """Drop the lines of `path` that lie after update `step`, and a half-written last one."""
    if not path.exists():
        return
    kept = [line for line in read(path) if isinstance(line.get("step"), int) and line["step"] <= step]
    with writing(path) as file:
        file.write("".join(json.dumps(line) + "\n" for line in kept))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, none where there is no log; a half-written one is left out."""
    lines: list[dict[str, Any]] = []
    if not path.is_file():
        return lines
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines
