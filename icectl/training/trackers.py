"""MLflow, Weights & Biases and TensorBoard, each by its own client; see `icectl.training.record`.

Each package's own settings (``MLFLOW_TRACKING_URI``, ``WANDB_MODE`` …) say where the records go.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from icectl.arrays import U8
from icectl.errors import DataError, redact
from icectl.run import Run
from icectl.workspace import read_json, write_json

PROJECT = "icectl"
"""The experiment of MLflow and the project of Weights & Biases, unless their own variables name another."""

NOTED = "tracker.json"
"""The file in a run's folder that holds a tracker's own id, so that a resumed training goes on there."""

_AT_ONCE = 100
_LONGEST = 500


class Tracker(Protocol):
    """What the thread calls; any exception ends the tracking."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add one value to each curve; all are finite."""

    def image(self, title: str, image: U8, step: int) -> None:
        """Add an image (rows, columns, 3)."""

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        """End the record, with `scores` by name."""


def facts(run: Run) -> dict[str, str]:
    """Return what is written down of a training as text: model, place, seed, every option of its stages."""
    known = {
        "model": run.plugin.name,
        "glacier": run.glacier.name,
        "seed": run.seed,
        "precision": run.compute.precision,
    }
    for verb, options in run.options.items():
        known |= {f"{verb}.{name}": value for name, value in options.model_dump(mode="json").items()}
    return {name: redact(str(value))[:_LONGEST] for name, value in known.items()}


class _Mlflow:
    """One run of MLflow's tracking client, in the experiment of ``MLFLOW_EXPERIMENT_NAME``."""

    def __init__(self, run: Run, step: int) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client, known = MlflowClient(), _noted(run, step)
        if known:
            self.id = known
            self.client.update_run(self.id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self.client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else self.client.create_experiment(name)
        self.id = self.client.create_run(place, run_name=_title(run)).info.run_id
        _note(run, self.id)
        params = [Param(key, value) for key, value in facts(run).items()]
        for first in range(0, len(params), _AT_ONCE):
            self.client.log_batch(self.id, params=params[first : first + _AT_ONCE])

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.id, metrics=[Metric(key, value, now, step) for key, value in values.items()]
        )

    def image(self, title: str, image: U8, step: int) -> None:
        self.client.log_image(self.id, image, key=title, step=step)

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        for key, value in scores.items():
            self.client.log_metric(self.id, key, value)
        self.client.set_terminated(self.id, "FINISHED" if finished else "KILLED")


class _Wandb:
    """One run of Weights & Biases, in the project of ``WANDB_PROJECT``; its files lie in the run's folder."""

    def __init__(self, run: Run, step: int) -> None:
        import wandb

        known = _noted(run, step) or uuid4().hex[:12]
        _note(run, known)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=_title(run),
            id=known,
            resume="allow",
            dir=str(run.out),
            config=facts(run),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def image(self, title: str, image: U8, step: int) -> None:
        import wandb

        self.run.log({title: wandb.Image(image)}, step=step)

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        self.run.summary.update(dict(scores))
        self.run.finish(exit_code=0 if finished else 1)


class _TensorBoard:
    """Event files in ``tensorboard/`` of the folder that a stage writes into."""

    def __init__(self, run: Run, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = {"purge_step": step + 1} if step else {}
        self.writer: Any = SummaryWriter(str(run.out / "tensorboard"), **purge)
        if not step:
            rows = "".join(f"| {key} | {value} |\n" for key, value in facts(run).items())
            self.writer.add_text("options", f"| option | value |\n|---|---|\n{rows}")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self.writer.add_scalar(key, value, step)

    def image(self, title: str, image: U8, step: int) -> None:
        self.writer.add_image(title, image, step, dataformats="HWC")

    def close(self, finished: bool, scores: Mapping[str, float]) -> None:
        self.scalars(scores, 0)
        self.writer.close()


OPEN: Mapping[str, Callable[[Run, int], Tracker]] = {
    "mlflow": _Mlflow,
    "wandb": _Wandb,
    "tensorboard": _TensorBoard,
}
"""What begins a record, by the name that ``--logger`` has for it."""


def _title(run: Run) -> str:
    return f"{run.plugin.name} {run.glacier.name} {_home(run).name}"


def _home(run: Run) -> Path:
    """Return the folder of the training: an evaluation's record is that of its training."""
    return run.inputs.get("train", run.out) if run.verb == "evaluate" else run.out


def _note(run: Run, known: str) -> None:
    write_json(run.out / NOTED, {str(run.logger): known})


def _noted(run: Run, step: int) -> str | None:
    """Return the tracker's id of the training that goes on or is scored, if it was the same tracker."""
    path = _home(run) / NOTED
    if not step or not path.is_file():
        return None
    try:
        found = read_json(path)
    except DataError:
        return None
    return str(found[run.logger]) if isinstance(found, dict) and run.logger in found else None
