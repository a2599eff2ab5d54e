"""How a network's last channels become a frame.

A snow mask is zero over bare ground and 0.3 to 1 over snow, so its mean squared error is least at
(chance of snow) × (index if there is snow). A plain output has to learn that product; the product and mixed
heads have it built in.
"""

import torch
from torch import Tensor, nn

from icectl.tasks.snow.options import HeadKind

PRIOR = 2.0
"""Logit by which an untrained mixed head prefers the last reference: it starts near that forecast."""

TYPICAL_SNOW = 0.55
"""Where the learned index starts from: the middle of what snow shows in the NDSI."""


class Head(nn.Module):
    """Turn channels into one frame.

    `kind`: ``"plain"``: the mask itself, one channel. ``"product"``: chance of snow times index, two
        channels. ``"mixed"``: a weighted mean, with weights that sum to one, of no snow, a learned index
        and the references in the guide.
    `references`: how many channels at the front of the guide are whole frames that a mixed head may choose;
        the last of them is where it starts from.
    """

    def __init__(self, kind: HeadKind = "plain", references: int = 0) -> None:
        super().__init__()
        self.kind, self.references = kind, references
        self.channels = {"plain": 1, "product": 2, "mixed": 3 + references}[kind]

    def forward(self, raw: Tensor, guide: Tensor) -> Tensor:
        """Return a frame (B, H, W) from `raw` (B, channels, H, W) and `guide` (B, G, H, W)."""
        if self.kind == "plain":
            return raw[:, 0]
        snow = TYPICAL_SNOW + raw[:, 0]
        if self.kind == "product":
            return torch.sigmoid(raw[:, 1]) * snow
        logits = torch.cat([raw[:, 1:-1], raw[:, -1:] + (PRIOR if self.references else 0.0)], dim=1)
        weights = torch.softmax(logits, dim=1)
        candidates = torch.cat(
            [torch.zeros_like(snow)[:, None], snow[:, None], guide[:, : self.references]], 1
        )
        return (weights * candidates).sum(dim=1)
