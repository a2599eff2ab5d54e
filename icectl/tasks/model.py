"""TaskModel: the five verbs of every task; a model adds its network.

::

    class MyModel(SnowModel):
        def network(self, ports, options):
            return MyNetwork(ports.inputs, ports.future, options.width)

A task's own subclass says what a network has to fit (`ports`), what trains it by default
(`learner`) and how trained weights answer by default (`trained`). A model may override the last two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from icectl.contract import Metrics, OnnxNetwork, Row
from icectl.errors import ContractError, DataError
from icectl.run import Run
from icectl.settings import find, read_toml
from icectl.tasks import step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icectl.report.panels import Panel
    from icectl.training import Batches, FitResult, FitSettings, Learner

WEIGHTS = "weights.safetensors"
"""The file in a training's folder that holds the weights, and beside them facts as plain JSON."""


class TaskModel(ABC):
    """A model of one of icectl's tasks; see `icectl.model.Model` for the verbs.

    Attributes
    ----------
    task
        The task's name, a folder of ``icectl/tasks``.
    needs
        Names of facts that trained weights of the task must carry.
    resumes
        Verbs that go on in ``run.out`` where they were interrupted, besides fetch and train.
    """

    task: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("options",)
    resumes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def network(self, ports: Any, options: Any) -> nn.Module:
        """Build the network, with weights drawn from torch's generator.

        Parameters
        ----------
        ports
            What it has to fit; see the task's ``Ports``.
        options
            The model's own training options.
        """

    @abstractmethod
    def ports(self, options: Any, facts: Mapping[str, Any]) -> Any:
        """Return what a network has to fit, by the options and the facts kept with its weights."""

    @abstractmethod
    def learner(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Learner:
        """Return what trains `network`, which is what `build` returned.

        Parameters
        ----------
        facts
            Plain JSON that ``describe`` of the learner must return, with additions of its own. A learner
            of several modules adds ``"kept"``: the name of the one that answers after training.
            ``facts["updates"]`` is the number of updates at most, for a schedule.
        """

    def trained(self, network: nn.Module, facts: Mapping[str, Any], device: str) -> Any:
        """Return how trained weights answer, as the task's ``predict`` calls it; by default the network."""
        return network.eval().to(device)

    def build(self, options: Any, facts: Mapping[str, Any]) -> nn.Module:
        """Return the network with what the task puts around it; by default the network alone."""
        return self.network(self.ports(options, facts), options)

    def initialise(self, network: nn.Module, options: Any) -> nn.Module:
        """Return a new `network` of `build` with what its training starts from; by default as it is."""
        return network

    def example(self, network: nn.Module, ports: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]] | None:
        """Return tensors that a network is called with, and the shape that it must return.

        ``train`` calls a new network with them before any work is done. None: nothing is checked.
        """
        return None

    def offered(self, network: nn.Module, options: Any, facts: Mapping[str, Any]) -> Sequence[OnnxNetwork]:
        """Return what ``icectl export --onnx`` may write of a trained `network`; by default nothing."""
        return []

    def fetch(self, run: Run, options: Any) -> Path:
        """Bring source data into ``run.out``."""
        return Path(step(self.task, "fetch")(run, options))

    def prepare(self, run: Run, options: Any) -> Path:
        """Make the task's data set in ``run.out``."""
        return Path(step(self.task, "prepare")(run, options))

    def train(self, run: Run, options: Any) -> Path:
        """Train on ``run.inputs["prepare"]``; weights and logs go to ``run.out``."""
        return Path(step(self.task, "train")(run, self, options))

    def predict(self, run: Run, options: Any) -> Path:
        """Write the products of ``run.inputs["train"]`` into ``run.out``."""
        return Path(step(self.task, "predict")(run, self, options))

    def evaluate(self, run: Run, options: Any) -> Metrics:
        """Score ``run.inputs["predict"]`` beside the task's baselines."""
        metrics: Metrics = step(self.task, "evaluate")(run, self, options)
        return metrics

    def shown(self, run: Run) -> Sequence[Panel]:
        """Return what the page of a prediction shows of ``run.out``."""
        panels: Sequence[Panel] = step(self.task, "shown")(run)
        return panels

    def dataset(self, run: Run) -> Any:
        """Open the task's data set in ``run.inputs["prepare"]``."""
        return step(self.task, "dataset")(run.inputs["prepare"])

    def split(self, dataset: Any, options: Any, seed: int) -> Any:
        """Return what of a data set is trained, validated and tested on."""
        return step(self.task, "split")(dataset, options, seed)

    def onnx(self, run: Run) -> Sequence[OnnxNetwork]:
        """Return the networks of ``run.inputs["train"]`` for other runtimes."""
        network, facts = self.load(run)
        return self.offered(network, self.trained_options(run, facts), facts)

    def load(self, run: Run) -> tuple[nn.Module, dict[str, Any]]:
        """Return the trained network of ``run.inputs["train"]`` and the facts kept with its weights.

        Raises
        ------
        DataError
            The file holds no model of this task, or weights of another network.
        """
        from icectl.training import load_weights

        path = run.inputs["train"] / WEIGHTS
        state, facts = load_weights(path)
        missing = sorted(set(self.needs) - set(facts))
        if missing:
            raise DataError(f"{path} holds no {self.task} model: {', '.join(missing)} missing", "train again")
        network = self.build(self.trained_options(run, facts), facts)
        try:
            network.load_state_dict(self.kept(state, facts))
        except RuntimeError as error:
            raise DataError(
                f"the weights in {path} do not fit the network of '{run.plugin.name}'",
                "they come from another version: train again",
            ) from error
        return network.eval(), facts

    def answering(self, run: Run) -> tuple[Any, dict[str, Any]]:
        """Return how the weights of ``run.inputs["train"]`` answer on the run's device, and their facts."""
        from icectl.training import resolve

        network, facts = self.load(run)
        return self.trained(network, facts, resolve(run.compute).device), facts

    def kept(self, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the weights of the network that answers, out of all that a training saved."""
        if "kept" not in facts:
            return dict(state)
        prefix = f"{facts['kept']}."
        return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}

    def trained_options(self, run: Run, facts: Mapping[str, Any]) -> Any:
        """Return the options that a model was trained with."""
        try:
            return run.plugin.stages["train"].model_validate(facts["options"])
        except ValidationError as error:
            if "train" in run.options:  # of an older schema, carried over
                return run.options["train"]
            raise DataError(
                f"the weights were trained with options that '{run.plugin.name}' no longer has", "train again"
            ) from error


def learn(
    run: Run,
    model: TaskModel,
    options: Any,
    facts: Mapping[str, Any],
    train: Callable[[int], Batches],
    valid: Callable[[int], Batches | None],
    settings: FitSettings,
) -> FitResult:
    """Train `model` in one process of a training; a task's ``train`` calls it inside `launch`.

    Parameters
    ----------
    options
        Training options; ``batch_size`` may be 0 for as many as fit.
    facts
        What the task keeps with the weights beside the options, the seed and the parameter count.
    train, valid
        Batches of a given global size; `valid` may return None.
    settings
        How long to train; ``facts["updates"]`` is derived from it.
    """
    import torch

    from icectl.training import fit, fitting_batch

    check_network(run, model, options, facts)
    base = {
        "model": run.plugin.name,
        "options": options.model_dump(mode="json"),
        "seed": run.seed,
        "updates": 1,
        **facts,
    }

    def fresh() -> Learner:
        return model.learner(model.build(options, base), options, base)

    size = fitting_batch(run, options.batch_size, fresh, train)
    batches = train(size)
    torch.manual_seed(run.seed)
    network = model.build(options, base)
    network = model.initialise(network, options)
    if "start" in run.inputs:
        start_from(run, model, network)
    base["updates"] = updates(settings, len(batches))
    base["parameters"] = sum(one.numel() for one in network.parameters())
    learner = model.learner(network, options, base)
    lost = sorted(set(base) - set(learner.describe()))
    if lost:
        raise ContractError(
            f"has a learner that keeps no {', '.join(lost)} with the weights",
            "return the facts that it was given from `describe`",
        )
    return fit(run, learner, batches, valid(size), settings)


def start_from(run: Run, model: TaskModel, network: nn.Module) -> None:
    """Give `network` the weights of ``run.inputs["start"]``, to train on from there.

    Raises
    ------
    DataError
        They are of another network.
    """
    from icectl.training import load_weights

    path = run.inputs["start"] / WEIGHTS
    state, facts = load_weights(path)
    try:
        network.load_state_dict(model.kept(state, facts))
    except RuntimeError as error:
        raise DataError(
            f"the weights in {path} do not fit the network of '{run.plugin.name}' with these options",
            "leave out the options that change the network",
        ) from error


def check_network(run: Run, model: TaskModel, options: Any, facts: Mapping[str, Any]) -> None:
    """Refuse a network that returns another shape than its task needs, before it is trained.

    Raises
    ------
    ContractError
        It says what was returned, and what was expected.
    """
    import torch

    ports = model.ports(options, facts)
    network = model.network(ports, options)
    example = model.example(network, ports)
    if example is None:
        return
    inputs, expected = example
    with torch.no_grad():
        made = network.eval()(*inputs)
    shape = tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
    if shape != expected:
        given = ", ".join(str(tuple(one.shape)) for one in inputs)
        raise ContractError(
            f"has a network that returned {shape}, expected {expected} for {given}",
            "see the shapes in the task's model.py, and `ports`",
        )


def updates(settings: FitSettings, batches: int) -> int:
    """Return how many updates a training makes at most, with so many batches in an epoch."""
    bounds = [settings.max_updates, None if settings.epochs is None else settings.epochs * batches]
    return min(bound for bound in bounds if bound is not None)


def published_rows(file: str, table: str, keys: Sequence[str], note: str) -> tuple[Row, ...]:
    """Return the rows of a `table` in ``configs/published/FILE.toml``, with the values of `keys`."""
    return tuple(
        Row(
            name=f"{entry['paper_name']} (published)",
            kind="published",
            values={key: float(entry[key]) for key in keys},
            note=note,
        )
        for entry in read_toml(find("published", file))[table]
    )
