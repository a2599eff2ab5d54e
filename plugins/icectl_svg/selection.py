"""Selection: which past frame to believe, at each place.

SVG decodes with the feature maps of the last frame it saw. If that frame is cloudy, so is what
it passes on. Here a softmax over all past frames, one weight a frame and place, mixes their maps
and the frames themselves. Its scores come from what a frame shows (features), how well it agrees
with the others (clouds agree with nothing), how far it lies from the moment asked for (days),
and the state of the recurrent network. Beside the learnt features stand explicit ones of each frame
(`told`): age, contrast and agreement carry over to dates that no training saw.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOLD = 5
"""Explicit features of each frame; see `told`."""


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
            nn.Conv2d(3 * hidden + 2, hidden, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, hidden, 3, padding=1),
        )
        self.score = nn.Conv2d(hidden, 1, 1)
        self.recency = nn.Parameter(torch.tensor(0.5))
        self.weigh = nn.Linear(TOLD, 1, bias=False)
        self.near = nn.Parameter(torch.tensor(0.0))

    def forward(
        self,
        maps: Sequence[Tensor],
        frames: Tensor,
        vector: Tensor,
        days: Tensor,
        asked: Tensor | None = None,
    ) -> Tensor:
        """Return weights ``(n, frames, rows, cols)`` that sum to 1 over frames.

        Parameters
        ----------
        maps
            Maps of all levels, each ``(n, frames, channels, rows, cols)``.
        frames
            The frames themselves, ``(n, frames, bands, rows, cols)``.
        vector
            ``(n, vector)``.
        days
            ``(n, frames)`` days from each frame to the moment asked for.
        asked
            What a latent map asks for, ``(n, hidden, rows, cols)``: frames that look like it score
            higher.
        """
        chosen = maps[self.level]
        n, count = chosen.shape[:2]
        own = self.embed(chosen.flatten(0, 1)).unflatten(0, (n, count))
        mean = own.mean(1, keepdim=True)
        others = (mean * count - own) / max(count - 1, 1)
        agreement = F.cosine_similarity(own, others, dim=2, eps=1e-6)[:, :, None]
        lags = torch.stack([days / 16, (1 + days).log()], -1)
        context = (self.query(vector)[:, None] + self.lag(lags))[..., None, None].expand_as(own)
        close = local_agreement(frames, own.shape[-2:])
        known = torch.cat([own, others.expand_as(own), context, agreement, close], 2)
        mixed = self.mixer(known.flatten(0, 1))
        scores = self.score(F.leaky_relu(mixed, 0.2)).unflatten(0, (n, count))[:, :, 0]
        scores = scores + self.weigh(told(frames, days))[..., None] + self.near * close[:, :, 0]
        if asked is not None:
            scores = scores + (own * asked[:, None]).sum(2)
        rank = torch.arange(count, device=days.device, dtype=days.dtype) - (count - 1)
        weights: Tensor = (scores + self.recency * rank[:, None, None]).softmax(1)
        return weights


def told(frames: Tensor, days: Tensor) -> Tensor:
    """Return explicit features of each frame, ``(n, frames, TOLD)``.

    Logarithm of its age, contrast, and its correlation with the other frames: the mean, the best, and
    that with the youngest. Correlations count four times, so that all are of one size.

    Parameters
    ----------
    frames
        ``(n, frames, bands, rows, cols)``.
    days
        ``(n, frames)`` days from each frame to the moment asked for.
    """
    count = frames.shape[1]
    flat = frames.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    deviation = flat.std(2)
    unit = flat / (flat.norm(dim=2, keepdim=True) + 1e-3)
    alike = unit @ unit.transpose(1, 2)
    self_ = torch.eye(count, device=frames.device, dtype=frames.dtype)
    mean = (alike * (1 - self_)).sum(2) / max(count - 1, 1)
    best = (alike - 2 * self_).amax(2) if count > 1 else alike[..., 0] * 0
    youngest = days.abs().argmin(1)
    last = alike[torch.arange(len(alike), device=frames.device), youngest]
    return torch.stack([(1 + days.abs()).log(), deviation, 4 * mean, 4 * best, 4 * last], -1)


def local_agreement(frames: Tensor, shape: Sequence[int]) -> Tensor:
    """Correlate each frame with the mean of the others around each place: ``(n, frames, 1, *shape)``."""
    count = frames.shape[1]
    own = frames.mean(2)
    others = (own.sum(1, keepdim=True) - own) / max(count - 1, 1)
    width = max(own.shape[-1] // 8, 2) * 2 + 1

    def around(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, width, 1, width // 2, count_include_pad=False)

    a, b = own - around(own), others - around(others)
    score = around(a * b) / (around(a * a) * around(b * b) + 1e-4).sqrt()
    return F.adaptive_avg_pool2d(score, (int(shape[0]), int(shape[1])))[:, :, None]


def mix(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over frames of ``(n, frames, channels, rows, cols)``; weights are resized to fit."""
    if weights.shape[-2:] != values.shape[-2:]:
        if weights.shape[-1] > values.shape[-1]:
            weights = F.adaptive_avg_pool2d(weights, (values.shape[-2], values.shape[-1]))
        else:
            weights = F.interpolate(weights, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return (values * weights[:, :, None]).sum(1)
