"""Learner: what a task or a model supplies to be trained.

A learner owns networks and a loss, and is written for one device. `SingleOptimizer` is the
usual case; a learner with several networks and optimisers (a GAN, SVG-LP) implements `update`.

Gradients are averaged over processes by our own all-reduce in `Context.step`, not by
DistributedDataParallel: its hooks expect one forward and one backward of one wrapper a step,
which adversarial and recurrent models with several optimisers do not have. What that costs
is the overlap of communication with the backward pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from icectl.training.batches import Batch
from icectl.training.context import Context


class Learner(ABC):
    """Networks, optimisers and the update; subclass this.

    Attributes
    ----------
    modules
        All that is trained and saved; an ``nn.ModuleDict`` for several networks. The names
        in its ``state_dict`` are the names in ``weights.safetensors``.
    keyed_dropout
        Whether dropout draws by sample; None means: if the network holds dropout modules.
        Set True where dropout is called as a function.
    """

    modules: nn.Module
    keyed_dropout: bool | None = None

    @abstractmethod
    def configure(self) -> Mapping[str, Optimizer]:
        """Return the optimisers by name."""

    @abstractmethod
    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Learn from one batch: forward, ``context.backward``, ``context.step``.

        Returns
        -------
        Scalars to log, by name; reduce errors with ``context.mean``.
        """

    def begin(self, batches: Iterable[Batch]) -> bool:
        """Set what can be set in closed form before the first update; True if that is worth validating.

        `batches`: the first epoch's global batches, the same on every process.
        """
        return False

    def schedule(self, optimizers: Mapping[str, Optimizer]) -> Mapping[str, LRScheduler]:
        """Return schedulers by name; each is stepped once after every update."""
        return {}

    @abstractmethod
    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return scores of this process's validation batches; see `Context.average`."""

    def describe(self) -> dict[str, Any]:
        """Return JSON facts to keep with the weights (sizes, normalisation, …)."""
        return {}

    def images(self, batches: Iterable[Batch], context: Context) -> Mapping[str, Tensor]:
        """Return images (3 or 1, rows, columns) in [0, 1] for what ``--logger`` names, by title."""
        return {}


class SingleOptimizer(Learner):
    """A learner of one network, one loss and one optimiser (AdamW unless overridden).

    Implement `loss`; override `configure` for another optimiser.
    """

    def __init__(self, modules: nn.Module, learning_rate: float = 1e-3, weight_decay: float = 0.0) -> None:
        self.modules = modules
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    @abstractmethod
    def loss(self, batch: Batch, context: Context) -> Tensor | Mapping[str, Tensor]:
        """Return the loss (scalar), or scalars by name of which ``"loss"`` is minimised."""

    def configure(self) -> Mapping[str, Optimizer]:
        """Return AdamW (Loshchilov and Hutter 2019) over all parameters."""
        parameters = [p for p in self.modules.parameters() if p.requires_grad]
        return {"main": torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Take one gradient step on `loss`."""
        losses = _named(self.loss(batch, context))
        context.backward(losses["loss"])
        context.step("main")
        return losses

    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return the mean of every named loss, weighted by samples, over all processes."""
        return context.average((_named(self.loss(batch, context)), context.size(batch)) for batch in batches)


def _named(losses: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {"loss": losses} if isinstance(losses, Tensor) else losses
