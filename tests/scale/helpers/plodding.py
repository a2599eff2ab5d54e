"""A plugin without torch whose stages take a moment, and note which process did them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pydantic import Field

from icectl.contract import Column, Metrics, Options, Plugin, Row, Table
from icectl.errors import DataError


class Stage(Options):
    pass


class Prepare(Options):
    seconds: float = Field(0.0, ge=0, description="How long a glacier takes.")
    work: int = Field(0, ge=0, description="How many million additions a glacier takes.")


def note(run) -> None:
    folder = os.environ.get("PLODDING_NOTES")
    if folder:
        (Path(folder) / f"{run.verb}-{run.glacier.name}-{os.getpid()}").touch()


class Plodding:
    def fetch(self, run, options):
        if run.glacier.name == "absent":
            raise DataError("no scene of absent was found", "choose another glacier")
        (run.out / "scene.txt").write_text(run.glacier.name * 1000)
        return run.out

    def prepare(self, run, options):
        note(run)
        total = 0
        for number in range(options.work * 1_000_000):
            total += number
        time.sleep(options.seconds)
        (run.out / "dataset.txt").write_text((run.inputs["fetch"] / "scene.txt").read_text().upper())
        return run.out

    def train(self, run, options):
        (run.out / "weights.txt").write_text("42")
        return run.out

    def predict(self, run, options):
        note(run)
        time.sleep(0.3)
        data = (run.inputs["prepare"] / "dataset.txt").read_text()
        (run.out / "prediction.txt").write_text(
            data[::-1] + (run.inputs["train"] / "weights.txt").read_text()
        )
        return run.out

    def evaluate(self, run, options):
        rows = (
            Row(name="plodding", kind="model", values={"e": 1.0}),
            Row(name="none", kind="baseline", values={"e": 2.0}),
        )
        return Metrics(
            tables=(Table(title="T", columns=(Column(key="e", label="e"),), rows=rows, primary="e"),)
        )


stages = {"fetch": Stage, "prepare": Prepare, "train": Stage, "predict": Stage, "evaluate": Stage}
plugin = Plugin(
    name="plodding", summary="Takes its time.", task="plod", model="plodding:Plodding", stages=stages
)
