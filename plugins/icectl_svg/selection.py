"""Selection: which past frame to believe, at each place.

SVG decodes with the feature maps of the last frame it saw. If that frame is cloudy, so is what
it passes on. Here a softmax over all past frames, one weight a frame and place, mixes their maps
and the frames themselves. Its scores come from what a frame shows (features), how well it agrees
with the others (clouds agree with nothing), how far it lies from the moment asked for (days),
and the state of the recurrent network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Selection(nn.Module):
    """Scores of past frames at one level of the encoder, and mixtures at all levels.

    Parameters
    ----------
    widths
        Channels of the encoder's maps, finest first.
    vector
        Length of the recurrent state's vector.
    level
        The map that scores are made from: 0 has half the chip's side, 1 a quarter, …
    hidden
        Channels inside.
    """

    def __init__(self, widths: Sequence[int], vector: int, level: int = 2, hidden: int = 24) -> None:
        super().__init__()
        self.level, self.hidden = level, hidden
        self.embed = nn.Conv2d(widths[self.level], hidden, 1)
        self.query = nn.Linear(vector, hidden)
        self.lag = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
        self.mixer = nn.Sequential(
            nn.Conv2d(3 * hidden + 1, hidden, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, hidden, 3, padding=1),
        )
        self.score = nn.Conv2d(hidden, 1, 1)
        self.recency = nn.Parameter(torch.tensor(0.5))

    def forward(
        self, maps: Sequence[Tensor], vector: Tensor, days: Tensor, asked: Tensor | None = None
    ) -> Tensor:
        """Return weights ``(n, frames, rows, cols)`` that sum to 1 over frames.

        Parameters
        ----------
        maps
            Maps of all levels, each ``(n, frames, channels, rows, cols)``.
        vector
            ``(n, vector)``.
        days
            ``(n, frames)`` days from each frame to the moment asked for.
        asked
            What a latent map asks for, ``(n, hidden, rows, cols)``: frames that look like it score
            higher.
        """
        chosen = maps[self.level]
        n, frames = chosen.shape[:2]
        own = self.embed(chosen.flatten(0, 1)).unflatten(0, (n, frames))
        mean = own.mean(1, keepdim=True)
        others = (mean * frames - own) / max(frames - 1, 1)
        agreement = F.cosine_similarity(own, others, dim=2, eps=1e-6)[:, :, None]
        lags = torch.stack([days / 16, (1 + days).log()], -1)
        context = (self.query(vector)[:, None] + self.lag(lags))[..., None, None].expand_as(own)
        mixed = self.mixer(torch.cat([own, others.expand_as(own), context, agreement], 2).flatten(0, 1))
        scores = self.score(F.leaky_relu(mixed, 0.2)).unflatten(0, (n, frames))[:, :, 0]
        if asked is not None:
            scores = scores + (own * asked[:, None]).sum(2)
        rank = torch.arange(frames, device=days.device, dtype=days.dtype) - (frames - 1)
        weights: Tensor = (scores + self.recency * rank[:, None, None]).softmax(1)
        return weights


def mix(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over frames of ``(n, frames, channels, rows, cols)``; weights are resized to fit."""
    if weights.shape[-2:] != values.shape[-2:]:
        if weights.shape[-1] > values.shape[-1]:
            weights = F.adaptive_avg_pool2d(weights, (values.shape[-2], values.shape[-1]))
        else:
            weights = F.interpolate(weights, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return (values * weights[:, :, None]).sum(1)
