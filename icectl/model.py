"""Model: the five verbs that a plugin's class implements, and what it may offer besides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from icectl.contract import Metrics, OnnxNetwork
from icectl.run import Run


@runtime_checkable
class Model(Protocol):
    """The five verbs. Each is handed a `Run` and its own options, and returns what it wrote."""

    def fetch(self, run: Run, options: Any) -> Path:
        """Bring source data into ``run.out``."""
        ...

    def prepare(self, run: Run, options: Any) -> Path:
        """Turn ``run.inputs["fetch"]`` into a dataset in ``run.out``."""
        ...

    def train(self, run: Run, options: Any) -> Path:
        """Train on ``run.inputs["prepare"]`` and leave weights in ``run.out``."""
        ...

    def predict(self, run: Run, options: Any) -> Path:
        """Apply the weights in ``run.inputs["train"]`` to ``run.inputs["prepare"]``."""
        ...

    def evaluate(self, run: Run, options: Any) -> Metrics:
        """Score ``run.inputs["predict"]`` beside the task's baselines."""
        ...


@runtime_checkable
class OffersOnnx(Protocol):
    """A model whose networks can be used without icectl and without torch; this is not required of one."""

    def onnx(self, run: Run) -> Sequence[OnnxNetwork]:
        """Return the networks of ``run.inputs["train"]``; none if this training has none to offer."""
        ...


@runtime_checkable
class ShowsProducts(Protocol):
    """A model that says what the page of a prediction shows; this is not required of one."""

    def shown(self, run: Run) -> Sequence[Any]:
        """Return panels (`icectl.report.panels`) of what ``predict`` has just written into ``run.out``."""
        ...
