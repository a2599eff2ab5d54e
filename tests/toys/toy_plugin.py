"""A plugin with a task of its own that needs no torch: writes text files, counts its calls."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from icectl.contract import Column, Estimate, Metrics, Options, Plugin, Row, Table
from icectl.errors import DataError
from icectl.run import Run


class Fetch(Options):
    source: Literal["auto", "synthetic"] = Field("auto", description="Where data comes from.")
    words: int = Field(3, ge=1, le=9, description="How many words to fetch.")
    extra: Path | None = Field(None, description="A file of the user's.")


class Prepare(Options):
    upper: bool = Field(False, description="Write in capitals.")


class Train(Options):
    presets: ClassVar = {"small": {"epochs": 1}, "paper": {"epochs": 40, "rate": 0.5}}
    preset: Literal["small", "paper"] = Field("small", description="A set of defaults.")
    epochs: int = Field(2, ge=1, description="Passes over the data.")
    rate: float = Field(0.1, gt=0, description="Learning rate.")
    fail: bool = Field(False, description="Fail half-way, to test what is left.")
    bands: tuple[str, ...] = Field((), description="Bands to use.")


class Predict(Options):
    tile: int = Field(512, ge=16, description="Block of reading and writing in pixels.")
    text: Path | None = Field(None, description="A text to predict, instead of the prepared one.")

    plain: bool = Field(False, description="Count without weights.")

    def needs(self) -> tuple[str, ...] | None:
        if self.plain:
            return ("prepare",)
        return None if self.text is None else ("train",)


class Evaluate(Options):
    strict: bool = Field(False, description="Count all.")


class Toy:
    def fetch(self, run: Run, options: Fetch) -> Path:
        words = [f"word{i}" for i in range(options.words)]
        (run.out / "words.txt").write_text(" ".join(words))
        return run.out

    def prepare(self, run: Run, options: Prepare) -> Path:
        text = (run.inputs["fetch"] / "words.txt").read_text()
        (run.out / "dataset.txt").write_text(text.upper() if options.upper else text)
        return run.out

    def train(self, run: Run, options: Train) -> Path:
        steps = run.out / "steps.txt"
        done = len(steps.read_text().split()) if steps.exists() else 0
        with steps.open("a") as file:
            for step in range(done, options.epochs):
                if options.fail and step == 1:
                    file.flush()
                    raise DataError("asked to fail", "train again without --fail")
                file.write(f"{step}\n")
        run.notes["resumed_at"] = done
        (run.out / "weights.txt").write_text(str(options.epochs))
        return run.out

    def predict(self, run: Run, options: Predict) -> Path:
        words = (options.text or run.inputs["prepare"] / "dataset.txt").read_text().split()
        weights = 1 if options.plain else (run.inputs["train"] / "weights.txt").read_text()
        (run.out / "prediction.txt").write_text(f"{len(words)} {weights}")
        return run.out

    def evaluate(self, run: Run, options: Evaluate) -> Metrics:
        words, weights = map(int, (run.inputs["predict"] / "prediction.txt").read_text().split())
        rows = (
            Row(name="toy", kind="model", values={"error": words / weights}),
            Row(name="nothing", kind="baseline", values={"error": 9.0}),
            Row(name="half", kind="baseline", values={"error": 4.5}),
        )
        table = Table(
            title="Toy", columns=(Column(key="error", label="error", unit="m"),), rows=rows, primary="error"
        )
        return Metrics(tables=(table,), notes=("a toy",), details={"nan": float("nan")})


def estimate(run: Run) -> Estimate:
    return Estimate(reads=1000, writes=2_000_000, memory=3_000_000_000)


plugin = Plugin(
    name="toy",
    summary="Counts words.",
    task="words",
    model="toy_plugin:Toy",
    aliases=("plaything",),
    stages={"fetch": Fetch, "prepare": Prepare, "train": Train, "predict": Predict, "evaluate": Evaluate},
    estimate="toy_plugin:estimate",
)
