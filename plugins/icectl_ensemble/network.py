"""An ensemble of finished trainings: members of several architectures, or several draws of one.

Every member is trained by itself (`icectl.contract.Options.members`), so that one which is there already is
used again. What is left to learn is how much each architecture counts in the mean, on the validation windows
of every draw. The members' weighted standard deviation is the spread.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from icectl import registry
from icectl.arrays import F64
from icectl.errors import WorkError
from icectl.run import Run
from icectl.tasks.model import WEIGHTS
from icectl.tasks.snow.dataset import open_dataset
from icectl.tasks.snow.model import SnowModel
from icectl.tasks.snow.networks.forecaster import Forecaster, Ports
from icectl.tasks.snow.options import TrainOptions
from icectl.tasks.snow.split import split
from icectl.tasks.snow.train import inputs, validation_batches
from icectl.training import load_weights, resolve, save_weights
from icectl_ensemble import EnsembleTrain

LEARNT = 0.5
"""How far weights go from equal to the best on validation, which are fitted to its noise too."""

BATCH = 16


class Ensemble(nn.Module):
    """Past masks to the mean and the spread of future masks.

    `members`: forecasters of the same windows; `share` holds how much each counts, and sums to one.
    """

    share: Tensor

    def __init__(self, members: Sequence[Forecaster]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("share", torch.full((len(members),), 1 / len(members)))

    @property
    def linear(self) -> Tensor:
        """Coefficients (F, 2P + 2) of the linear baseline of the first draw, as a single model has it."""
        found: Tensor = self.members[0].linear  # type: ignore[assignment]
        return found

    def forward(self, past: Tensor, season: Tensor, phase: Tensor, terrain: Tensor | None = None) -> Tensor:
        """Return mean and spread (B, 2F, H, W): F channels of each."""
        every = torch.stack([member(past, season, phase, terrain) for member in self.members])
        share = self.share[:, None, None, None, None]
        mean = (share * every).sum(dim=0)
        return torch.cat([mean, (share * (every - mean) ** 2).sum(dim=0).sqrt()], dim=1)


class EnsembleModel(SnowModel):
    """The snow task with several networks."""

    spread = True

    def train(self, run: Run, options: EnsembleTrain) -> Path:
        """Put the trainings in ``run.inputs["member-0"]`` and so on together, and weigh them."""
        found = [load_weights(run.inputs[f"member-{k}"] / WEIGHTS) for k in range(len(options.members()))]
        told = [{"name": facts["model"], "options": facts["options"]} for _, facts in found]
        facts = {**found[0][1], "members": told}
        facts.pop("training", None)
        ensemble = self.build(options, facts)
        for member, (model, _), (state, own) in zip(ensemble.members, models(told), found, strict=True):
            member.load_state_dict(model.kept(state, own))
        shares = weigh(run, ensemble.eval(), options)
        ensemble.share.copy_(torch.as_tensor(shares))
        words = [f"{one['name']} {share:.2f}" for one, share in zip(told, shares, strict=True)]
        run.say(f"the members count {', '.join(words)}")
        run.notes["shares of the members"] = words
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


def weigh(run: Run, ensemble: Ensemble, options: EnsembleTrain) -> F64:
    """Return how much each member counts: the draws of an architecture alike.

    Architectures count between equally, and as is best on the windows that their draws validated on.
    """
    cube, device = open_dataset(run.inputs["prepare"]), resolve(run.compute).device
    count, draws = len(options.member), options.draws
    products = np.zeros((count, count))
    ensemble.to(device)
    for k in range(draws):
        own = options.model_copy(update={"draw": options.draw + k})
        windows = validation_batches(cube, split(cube, own, run.seed), own, BATCH, run.seed)
        for batch in windows.epoch(0):
            put = {name: value.to(device) for name, value in batch.items()}
            with torch.no_grad():
                made = torch.stack([member(*inputs(put)) for member in ensemble.members[k::draws]])
            errors = (made - put["future"])[:, put["valid"]].double().cpu().numpy()
            products += errors @ errors.T
    ensemble.to("cpu")
    return np.repeat(LEARNT * best_shares(products) + (1 - LEARNT) / count, draws) / draws


def best_shares(products: F64) -> F64:
    """Return the weights, none below zero and their sum one, by which a mean errs least.

    `products`: (n, n): sums of products of the errors of every two of them.

    >>> best_shares(np.array([[2.0, 0.0], [0.0, 1.0]])).round(2)
    array([0.33, 0.67])
    """
    scale = np.trace(products) / len(products) or 1.0
    root = np.linalg.cholesky(products / scale + 1e-9 * np.eye(len(products))).T
    strict = 1e3  # the sum is one nearly exactly, then exactly
    found, _ = nnls(np.vstack([root, np.full(len(root), strict)]), np.append(np.zeros(len(root)), strict))
    return np.asarray(found / found.sum())
