"""An ensemble of finished trainings: members of several architectures, or several draws of one.

Every member is trained by itself (`icectl.contract.Options.members`), so that one which is there already is
used again. All count alike; their standard deviation is the spread.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from icectl import registry
from icectl.errors import WorkError
from icectl.run import Run
from icectl.tasks.model import WEIGHTS
from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.forecaster import Forecaster, Ports
from icectl.tasks.snow.options import TrainOptions
from icectl.training import load_weights, save_weights
from icectl_ensemble import EnsembleTrain


class Ensemble(nn.Module):
    """Past masks to the mean and the spread of future masks.

    `members`: forecasters of the same windows.
    """

    def __init__(self, members: Sequence[Forecaster]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, past: Tensor, season: Tensor, phase: Tensor, terrain: Tensor | None = None) -> Tensor:
        """Return mean and spread (B, 2F, H, W): F channels of each."""
        every = torch.stack([member(past, season, phase, terrain) for member in self.members])
        return torch.cat([every.mean(dim=0), every.std(dim=0, correction=0)], dim=1)


class EnsembleModel(SnowModel):
    """The snow task with several networks."""

    spread = True

    def train(self, run: Run, options: EnsembleTrain) -> Path:
        """Put the trainings in ``run.inputs["member-0"]`` and so on together."""
        found = [load_weights(run.inputs[f"member-{k}"] / WEIGHTS) for k in range(len(options.members()))]
        told = [{"name": facts["model"], "options": facts["options"]} for _, facts in found]
        facts = {**found[0][1], "members": told}
        facts.pop("training", None)
        ensemble = self.build(options, facts)
        for member, (model, _), (state, own) in zip(ensemble.members, models(told), found, strict=True):
            member.load_state_dict(model.kept(state, own))
        own = {
            "model": run.plugin.name,
            "options": options.model_dump(mode="json"),
            "parameters": sum(one.numel() for one in ensemble.parameters()),
        }
        save_weights(run.out / WEIGHTS, ensemble, {**facts, **own})
        return run.out

    def network(self, ports: Ports, options: EnsembleTrain) -> nn.Module:
        """Refuse: an ensemble has the networks of its members."""
        raise WorkError("an ensemble has no network of its own", "build one of its members")

    def build(self, options: EnsembleTrain, facts: Mapping[str, Any]) -> Ensemble:  # type: ignore[override]
        """Return the members that were kept with trained weights."""
        return Ensemble([model.build(own, facts) for model, own in models(facts["members"])])


def models(told: Sequence[Mapping[str, Any]]) -> Iterator[tuple[SnowModel, TrainOptions]]:
    """Yield the model and the training options of every member, by its name and its options as JSON."""
    for one in told:
        plugin = registry.get(str(one["name"]))
        own = plugin.stages["train"].model_validate(one["options"])
        assert isinstance(own, TrainOptions)
        yield registry.resolve(plugin.model)(), own
