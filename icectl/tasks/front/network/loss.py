"""The loss of Cheng et al. 2021: BCE − ln IoU, 25/26 for the edge and 1/26 for the ice mask."""

import torch
from torch import Tensor
from torch.nn import functional

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
