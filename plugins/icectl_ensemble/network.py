"""An ensemble: members of several architectures, or several draws of one, learn side by side.

Each member has its own loss, and the optimiser works weight by weight, so members learn as if alone on the
same batches. What is validated, kept and used is their mean; their standard deviation is its spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import UsageError
from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.forecaster import Forecaster, Ports
from icectl.tasks.snow.options import TrainOptions
from icectl.tasks.snow.train import SnowLearner, inputs
from icectl.training import Context
from icectl_ensemble import EnsembleTrain


class Ensemble(nn.Module):
    """Past masks to the mean and the spread of future masks.

    Parameters
    ----------
    members
        Forecasters of the same windows.
    told
        What made them: name and training options of each, as plain JSON.
    """

    def __init__(self, members: Sequence[Forecaster], told: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.members, self.told = nn.ModuleList(members), list(told)

    @property
    def linear(self) -> Tensor:
        """Coefficients (F, 2P + 2) of the linear baseline, the same in all members."""
        found: Tensor = self.members[0].linear  # type: ignore[assignment]
        return found

    def each(self, *given: Any) -> Tensor:
        """Return every member's forecast (members, B, F, H, W); see `Forecaster` for the arguments."""
        return torch.stack([member(*given) for member in self.members])

    def forward(self, past: Tensor, season: Tensor, phase: Tensor, terrain: Tensor | None = None) -> Tensor:
        """Return mean and spread (B, 2F, H, W): F channels of each."""
        every = self.each(past, season, phase, terrain)
        return torch.cat([every.mean(dim=0), every.std(dim=0, correction=0)], dim=1)


class EnsembleLearner(SnowLearner):
    """Every member's mean squared error; the score of a validation is that of their mean."""

    modules: Ensemble

    def loss(  # type: ignore[override]
        self, batch: Mapping[str, Tensor], context: Context
    ) -> Mapping[str, Tensor]:
        """Return the sum of the members' losses in training, the loss of their mean in validation."""
        teacher = self._teacher(batch, context)
        every = self.modules.each(*inputs(batch), teacher)
        own = {
            f"loss of {k + 1} ({told['name']})": context.mean((one - batch["future"]) ** 2, batch["valid"])
            for k, (one, told) in enumerate(zip(every, self.modules.told, strict=True))
        }
        if context.training:
            return {**own, "loss": torch.stack(list(own.values())).sum()}
        mean = context.mean((every.mean(dim=0) - batch["future"]) ** 2, batch["valid"])
        return {**own, "loss": mean}

    def images(self, batches: Any, context: Context) -> Mapping[str, Tensor]:
        """Return nothing: the spread is no picture of a frame."""
        return {}


class EnsembleModel(SnowModel):
    """The snow task with several networks."""

    spread = True

    def network(self, ports: Ports, options: EnsembleTrain) -> nn.Module:
        """Return the mean of the members' networks."""
        return Mean([model.network(ports, own) for model, own in models(members(options))])

    def build(self, options: EnsembleTrain, facts: Mapping[str, Any]) -> Ensemble:  # type: ignore[override]
        """Return the members that `options` name, or those kept with trained weights."""
        told = facts.get("members") or members(options)
        return Ensemble([model.build(own, facts) for model, own in models(told)], told)

    def learner(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> SnowLearner:
        """Return what trains all members at once."""
        assert isinstance(network, Ensemble)
        return EnsembleLearner(network, options, {**facts, "members": network.told})


class Mean(nn.Module):
    """The mean of networks that are called alike and return one shape."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *given: Any) -> Tensor:
        """Return the mean over the networks; see `SnowModel.network` for the arguments."""
        return torch.stack([network(*given) for network in self.networks]).mean(dim=0)


def models(told: Sequence[Mapping[str, Any]]) -> Iterator[tuple[SnowModel, TrainOptions]]:
    """Yield the model and the training options of every member."""
    for one in told:
        plugin = snow_plugin(str(one["name"]))
        own = plugin.stages["train"].model_validate(one["options"])
        assert isinstance(own, TrainOptions)
        yield registry.resolve(plugin.model)(), own


def members(options: EnsembleTrain) -> list[dict[str, Any]]:
    """Return name and training options of every member, as plain JSON.

    A member has the ensemble's windows, split, guides and optimiser, and its own model's sizes.
    """
    shared = {name: getattr(options, name) for name in TrainOptions.model_fields}
    told = []
    for name in options.member:
        plugin = snow_plugin(name)
        own = plugin.stages["train"].model_validate(shared).model_dump(mode="json")
        told += [{"name": plugin.name, "options": own}] * options.draws
    return told


def snow_plugin(name: str) -> Plugin:
    """Return the snow model called `name`.

    Raises
    ------
    UsageError
        No such model, one of another task, or an ensemble.
    """
    plugin = registry.get(name)
    if plugin.task != "snow" or "member" in plugin.stages["train"].model_fields:
        raise UsageError(f"'{name}' cannot be a member: it is no snow model of one network", "name another")
    return plugin
