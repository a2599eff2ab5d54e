"""How the networks are trained, by the loss of Cheng et al. 2021, and how trained ones are called.

The loss is BCE − ln IoU, 25/26 for the edge and 1/26 for the ice mask.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from icectl.arrays import F32
from icectl.tasks.front.options import TrainOptions
from icectl.training import Context, SingleOptimizer, cosine_rate
from icectl.training.batches import Batch

EDGE_SHARE = 25 / 26
EPSILON = 1e-6

EMPTY = 200.0
"""Pixels that soften the overlap with an empty target: about the edge of one front."""


def soft_iou(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the soft overlap of each image, over (rows, columns): shape (batch,)."""
    together = (weight * probability * target).sum((-2, -1))
    union = (weight * (probability + target - probability * target)).sum((-2, -1))
    known = (weight * target).sum((-2, -1))
    small = torch.where(known > 0, EPSILON, EMPTY)
    return (together + small) / (union + small)


def front_loss(logits: Tensor, targets: Tensor, edge_share: float = EDGE_SHARE) -> dict[str, Tensor]:
    """Return the loss of each image, and its parts.

    `logits`: (batch, 2, rows, columns): edge and ice mask before the sigmoid. `targets`: (batch, 4, rows,
    columns): edge, mask, and the weight of each. Pixels of weight 0 do not count; an image whose mask has
    no weight trains the edge alone. `edge_share`: share of the edge; the mask has the rest.

    Returns ``loss``, ``edge_bce``, ``edge_iou``, ``mask_bce``, ``mask_iou``: each (batch,).
    """
    truth, weight = targets[:, :2], targets[:, 2:]
    known = weight.sum((-2, -1))
    present = (known > 0).to(logits.dtype)
    bce = functional.binary_cross_entropy_with_logits(logits, truth, weight, reduction="none")
    bce = bce.sum((-2, -1)) / known.clamp(min=1)
    iou = soft_iou(logits.sigmoid(), truth, weight)
    each = (bce - iou.clamp(min=EPSILON).log()) * present
    share = logits.new_tensor([edge_share, 1 - edge_share])
    return {
        "loss": (each * share).sum(1),
        "edge_bce": bce[:, 0],
        "edge_iou": iou[:, 0],
        "mask_bce": bce[:, 1],
        "mask_iou": iou[:, 1],
    }


WARM_UP = 50


class FrontLearner(SingleOptimizer):
    """One network, the loss of Cheng et al., and a running mean of the weights.

    ``modules.mean`` holds the running mean, which is validated and predicted with; without
    averaging it is the network itself.
    """

    def __init__(self, network: nn.Module, options: TrainOptions, facts: Mapping[str, Any]) -> None:
        parts = {"network": network}
        if options.average:
            parts["mean"] = copy.deepcopy(network).requires_grad_(False)
        super().__init__(nn.ModuleDict(parts), options.lr, options.weight_decay)
        self.options, self.facts = options, dict(facts)

    @property
    def network(self) -> nn.Module:
        """The network that learns."""
        return self.modules["network"]  # type: ignore[index, no-any-return]

    @property
    def best(self) -> nn.Module:
        """The network to validate and predict with."""
        return self.modules["mean" if self.options.average else "network"]  # type: ignore[index, no-any-return]

    def configure(self) -> Mapping[str, Optimizer]:
        """Return AdamW over the network that learns; Adam is AdamW without decay."""
        parameters = list(self.network.parameters())
        return {"main": torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)}

    def schedule(self, optimizers: Mapping[str, Optimizer]) -> Mapping[str, LRScheduler]:
        """Return a warm-up and a cosine over all updates, or nothing."""
        if self.options.schedule == "constant":
            return {}
        total = int(self.facts.get("updates", self.options.updates))
        warm = min(WARM_UP, max(1, total // 10))
        return {"main": LambdaLR(optimizers["main"], lambda step: cosine_rate(step, total, warm))}

    def loss(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Return the loss and its parts, averaged over the global batch."""
        network = self.network if context.training else self.best
        parts = front_loss(network(batch["x"]).float(), batch["y"].float(), self.options.edge_share)
        return {name: context.mean(value) for name, value in parts.items()}

    def update(self, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Take one step, then move the running mean towards the weights."""
        losses = super().update(batch, context)
        if self.options.average:
            self._follow(context.step_number)
        return losses

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Update the running mean; its decay grows from 0.1, so that early weights are forgotten."""
        decay = min(self.options.average, (1 + step) / (10 + step))
        own, mean = self.network.state_dict(), self.best.state_dict()
        for name, value in mean.items():
            if value.is_floating_point():
                value.lerp_(own[name], 1 - decay)
            else:
                value.copy_(own[name])

    def validate(self, batches: Iterable[Batch], context: Context) -> Mapping[str, float]:
        """Return mean loss and overlaps of the network that would be kept."""
        self.best.eval()
        return super().validate(batches, context)

    def describe(self) -> dict[str, Any]:
        """Return the facts, and which of the modules answers after training."""
        return {**self.facts, "kept": "mean" if self.options.average else "network"}


class Trained:
    """A trained network as a function of numpy arrays (see `icectl.tasks.front.image.windows.Network`)."""

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self.network = network.eval().to(device)
        self.device = device

    def __call__(self, windows: F32) -> F32:
        """Return probabilities (windows, 2, side, side)."""
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(np.ascontiguousarray(windows)).to(self.device))
            return logits.sigmoid().float().cpu().numpy()  # type: ignore[no-any-return]
