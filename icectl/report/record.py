"""What a run folder says about itself: records, evaluations, training log. Plain data, nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icectl.errors import UsageError
from icectl.training.record import LOG, read
from icectl.workspace import RECORD, RUN, metrics_of, read_record, run_of

METRICS = "metrics.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of a run: its folder, its record, its metrics, and the records it builds on."""

    folder: Path
    record: Mapping[str, Any]
    metrics: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def glacier(self) -> str:
        """Name of the glacier that was evaluated."""
        return str(self.record.get("glacier", ""))


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that the report reads of one run folder. `evaluations` are newest first."""

    folder: Path
    record: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluations: tuple[Evaluation, ...] = ()
    log: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """``model · glacier · id``, for titles."""
        return f"{self.record.get('model', '?')} · {self.glacier.get('name', '?')} · {self.folder.name}"

    @property
    def glacier(self) -> Mapping[str, Any]:
        """Settings of the glacier that the run was trained on."""
        glacier: Mapping[str, Any] = self.record["glacier"]
        return glacier

    def stages(self) -> dict[str, Mapping[str, Any]]:
        """Return the records of the stages behind the newest evaluation, or behind the training."""
        if self.evaluations:
            return dict(self.evaluations[0].stages)
        return _stages(self.folder, self.record["inputs"], {"train": self.training})


def read_run(folder: Path) -> RunFacts:
    """Read a run folder.

    UsageError: `folder` is no run. DataError: a record in it is damaged.
    """
    folder = folder.absolute()
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} is no run: it holds no {RUN}", "name a folder under runs/MODEL/GLACIER/")
    record = run_of(folder)
    training = _stage(folder) if (folder / RECORD).is_file() else {}
    found = [
        p.parent for p in (folder / "evaluations").glob(f"*/{METRICS}") if not p.parent.name.startswith(".")
    ]
    if (folder / METRICS).is_file():
        found.append(folder)
    found.sort(key=lambda f: (f / METRICS).stat().st_mtime, reverse=True)
    evaluations = tuple(_evaluation(f, training) for f in found)
    return RunFacts(folder, record, training, evaluations, tuple(read(folder / LOG)))


def _evaluation(folder: Path, training: Mapping[str, Any]) -> Evaluation:
    record = _stage(folder) if (folder / RECORD).is_file() else {}
    metrics = metrics_of(folder)
    stages = _stages(folder, record.get("inputs", {}), {"train": training, "evaluate": record})
    return Evaluation(folder, record, metrics, stages)


def stages_behind(folder: Path, record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the record of a stage in `folder`, and those of the stages that it was made from."""
    return _stages(folder, record.get("inputs", {}), {str(record["stage"]): record})


def _stages(
    folder: Path, inputs: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the record of every stage that still has one, in the order of the verbs."""
    stages: dict[str, Mapping[str, Any]] = {}
    for verb in ("fetch", "prepare", "train", "predict", "evaluate"):
        path = folder / str(inputs.get(verb, "")) / RECORD
        if known.get(verb):
            stages[verb] = known[verb]
        elif verb in inputs and path.is_file():
            stages[verb] = _stage(path.parent)
    return stages


_SHAPE = {"notes?": dict, "meter?": dict, "options?": dict, "inputs?": {str: str}, "versions?": {str: str}}


def _stage(folder: Path) -> Mapping[str, Any]:
    """Return the record of a stage; a report needs less of it than a later stage does."""
    record: Mapping[str, Any] = read_record(folder / RECORD, _SHAPE, "record of a stage")
    return record
