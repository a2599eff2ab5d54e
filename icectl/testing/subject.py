"""A plugin under test: its model, smallest options, and stages run where the tests want them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from icectl import registry
from icectl.contract import VERBS, Metrics, Options, Plugin
from icectl.model import Model
from icectl.run import Compute, Run
from icectl.settings import Glacier, load_glacier
from icectl.stages import Request, Step, run_for
from icectl.workspace import Workspace, adopt

_PREPARED: dict[str, dict[str, Path]] = {}
"""Folders of fetch and prepare, by task and options: models of one task share them, as users do."""

WEIGHTS = "weights.safetensors"


class Unreached(AssertionError):
    """A check needs what could not be made before; why stands where that was tried first."""


class Subject:
    """A plugin, a folder to work in, and the smallest options it can work with.

    `plugin`: the loaded descriptor. `folder`: where stages are run. `small`: option values that keep the
    work small, by name; they go to every stage that has the option. For our own tasks they start from
    `icectl.testing.subject.SMALLEST`. `glacier`: whose work it is; the synthetic glacier by default.
    """

    def __init__(
        self, plugin: Plugin, folder: Path, small: Mapping[str, Any] | None = None, glacier: str = "demo"
    ) -> None:
        self.plugin, self.folder = plugin, folder
        self.small = {**SMALLEST.get(plugin.task, {}), **(small or {})}
        self.glacier: Glacier = load_glacier(glacier)
        self._failed: set[str] = set()

    @cached_property
    def model(self) -> Model:
        """The model, imported and built."""
        return registry.load_model(self.plugin)

    def options(self, **changes: Any) -> dict[str, Options]:
        """Return the options of every stage: the smallest, with `changes`."""
        values = {**self.small, **changes}
        return {
            verb: kind(**{name: value for name, value in values.items() if name in kind.model_fields})
            for verb, kind in self.plugin.stages.items()
        }

    def run(
        self,
        verb: str,
        where: str,
        inputs: Mapping[str, Path],
        compute: Compute | None = None,
        **changes: Any,
    ) -> Run:
        """Return the Run of one stage that works in ``folder/where``, with the smallest options."""
        out = self.folder / where
        adopt(out)
        request = Request(
            plugin=self.plugin,
            glacier=self.glacier,
            options=self.options(**changes),
            workspace=Workspace(self.folder),
            seed=11,
            compute=compute or Compute(device="cpu"),
            quiet=True,
        )
        step = Step(request=request, verb=verb, out=out, fingerprint="", inputs=dict(inputs), done=False)
        return run_for(step)

    def perform(self, run: Run) -> Path | Metrics:
        """Do the stage of `run` with a fresh model, so that nothing is remembered between stages."""
        model = registry.load_model(self.plugin)
        result: Path | Metrics = getattr(model, run.verb)(run, run.options[run.verb])
        return result

    @contextmanager
    def told_once(self, what: str) -> Iterator[None]:
        """Let an error of making `what` pass once; whoever needs it after that is told that it failed."""
        if what in self._failed:
            raise Unreached(f"not reached: {what} failed, as said above")
        try:
            yield
        except Exception as error:
            if not isinstance(error, Unreached) and not getattr(error, "interrupted", False):
                self._failed.add(what)
            raise

    @cached_property
    def prepared(self) -> dict[str, Path]:
        """The folders of a fetch and a prepare, done once."""
        with self.told_once("the preparation of data"):
            return self._prepared()

    def _prepared(self) -> dict[str, Path]:
        options = self.options()
        shared = repr([self.plugin.task, self.glacier, *(options[verb] for verb in VERBS[:2])])
        known = _PREPARED.get(shared)
        if not known or not known[VERBS[1]].is_dir():  # the folder of an earlier validation is gone
            inputs: dict[str, Path] = {}
            for verb in VERBS[:2]:
                self.perform(self.run(verb, verb, inputs))
                inputs[verb] = self.folder / verb
            _PREPARED[shared] = inputs
        return _PREPARED[shared]

    def train(self, where: str, updates: int, compute: Compute | None = None) -> Path:
        """Train for `updates` updates in ``folder/where``, going on from a state that is there."""
        processes = compute.processes if compute else 1
        with self.told_once("training" if processes == 1 else "training in several processes"):
            return self._trained(where, updates, compute)

    def _trained(self, where: str, updates: int, compute: Compute | None) -> Path:
        changes = {UPDATES: updates}
        inputs = dict(self.prepared)
        for k, (name, options) in enumerate(self.options(**changes)["train"].members()):
            member = Subject(registry.get(name), self.folder / f"{where}-{k}", {**self.small, **options})
            inputs[f"member-{k}"] = member.train("train", updates, compute)
        run = self.run("train", where, inputs, compute, **changes)
        self.perform(run)
        return run.out

    @cached_property
    def trained(self) -> Path:
        """A training of two updates, done once."""
        return self.train("train", updates=2)

    @cached_property
    def longer(self) -> Path:
        """A training of three updates, done once."""
        return self.train("longer", updates=3)

    def predict(self, where: str, **changes: Any) -> Path:
        """Predict with the trained weights in ``folder/where``."""
        with self.told_once("prediction"):
            return self._predicted(where, **changes)

    def _predicted(self, where: str, **changes: Any) -> Path:
        inputs = {**self.prepared, "train": self.trained}
        run = self.run("predict", where, inputs, None, **{UPDATES: 2, **changes})
        self.perform(run)
        return run.out

    @cached_property
    def predicted(self) -> Path:
        """A prediction, done once."""
        return self.predict("predict")

    def evaluate(self, where: str, predicted: Path) -> Metrics:
        """Evaluate the predictions in a folder."""
        with self.told_once("evaluation") if predicted == self.predicted else nullcontext():
            return self._evaluated(where, predicted)

    def _evaluated(self, where: str, predicted: Path) -> Metrics:
        inputs = {**self.prepared, "train": self.trained, "predict": predicted}
        result = self.perform(self.run("evaluate", where, inputs, None, **{UPDATES: 2}))
        assert isinstance(result, Metrics), f"evaluate returned a {type(result).__name__}, not Metrics"
        return result


SMALLEST: Mapping[str, Mapping[str, Any]] = {
    "snow": {
        "source": "synthetic", "world": {"size": 64, "years": 5}, "align": "none", "patch": 16, "stride": 8,
        "batch_size": 4, "epochs": 50, "validate_every": 2, "bootstrap": 10, "moments": "auto",
        "member": ("convlstm", "unet"), "draws": 1,
    },
    "flow": {
        "source": "synthetic", "world": {"size": 192, "frames": 6}, "bands": ("red", "nir08"), "chip": 16,
        "chips": 80, "past": 2, "test_side": "south", "batch_size": 2, "epochs": 50, "validate_every": 2,
        "tile": 48,
    },
    "front": {
        "source": "synthetic", "world": {"size": 96, "years": 2, "count": 2}, "crop": (32, 32),
        "batch_size": 4, "validate_every": 2, "turns": 2,
    },
    "bed": {
        "source": "synthetic", "world": {"size": 128, "count": 3}, "patch_size": 64, "hole_size": 24,
        "patches": 60, "minimum_relief": 50, "width": 8, "critic_width": 4, "rounds": 2, "batch_size": 2,
        "validate_every": 2, "tile": 64,
    },
}  # fmt: skip

UPDATES = "updates"
"""The training option that bounds the number of updates; the suite trains for two, three and ten."""
