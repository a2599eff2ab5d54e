"""Selection: which past frame to believe, at each place.

SVG decodes with the feature maps of the last frame it saw. If that frame is cloudy, so is what it passes
on. Here a softmax over all past frames mixes their maps and the frames themselves. Its scores are linear in
explicit features of each frame: age, agreement with the others, and its share of cloud. A second pass adds
how well a frame agrees with the first mixture, as a whole and around each place. These few weights are
fitted before training (`Selection.fit`), since they carry over to dates that no training saw: several times,
on parts of the windows, since few dates leave them uncertain, and their softmaxes are averaged. What a
network sees in the frames adds to the scores, from nothing at the start.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 3
"""Explicit features of each frame; see `told`."""

FITS = 8
"""Fits of the explicit weights that are averaged."""

RIDGE = 1e-4

ABSENT = -1e4
"""Score of a frame that is not there."""

Told = tuple[Tensor, Tensor, Tensor]
"""What `told` returns."""


class Selection(nn.Module):
    """Scores of past frames.

    `widths`: channels of the encoder's maps, finest first; `vector`: length of the recurrent state's
    vector; `level`: the encoder's map that learnt scores are made from: 0 has half the chip's side, 1 a
    quarter, …; `hidden`: channels inside.
    """

    def __init__(self, widths: Sequence[int], vector: int, level: int = 2, hidden: int = 24) -> None:
        super().__init__()
        self.level, self.hidden = level, hidden
        self.first, self.second = (nn.Parameter(torch.zeros(FITS, FEATURES)) for _ in range(2))
        self.whole, self.near = nn.Parameter(torch.zeros(FITS)), nn.Parameter(torch.ones(()))
        self.embed = nn.Conv2d(widths[level], hidden, 1)
        self.query = nn.Linear(vector, hidden)
        self.mixer = nn.Conv2d(3 * hidden, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, 1, 1)

    def forward(
        self, features: Tensor, frames: Tensor, vector: Tensor, facts: Told, asked: Tensor | None = None
    ) -> Tensor:
        """Return weights ``(n, frames, rows, cols)`` that sum to 1 over frames.

        `features`: the encoder's map of `level`, ``(n, frames, channels, rows / k, cols / k)``.
        `frames`: the frames themselves, ``(n, frames, bands, rows, cols)``.
        `vector`: ``(n, vector)``.
        `facts`: what `told` said of the frames.
        `asked`: what a latent map asks for, ``(n, hidden, rows / k, cols / k)``: frames that look like it
            score higher.
        """
        scores = self.explicit(facts)
        picture = frames.mean(2)
        mixture = (scores.softmax(1)[..., None, None] * picture).sum(1, keepdim=True)
        close = self.near * agreement(picture, mixture, frames.shape[-1] // 8 + 1)
        own = self.embed(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        mean = own.mean(1, keepdim=True).expand_as(own)
        context = self.query(vector)[:, None, :, None, None].expand_as(own)
        mixed = self.mixer(torch.cat([own, mean, context], 2).flatten(0, 1))
        learnt = self.score(F.leaky_relu(mixed, 0.2)).unflatten(0, features.shape[:2])[:, :, 0]
        if asked is not None:
            learnt = learnt + (own * asked[:, None]).sum(2)
        learnt = F.interpolate(learnt, size=picture.shape[-2:], mode="bilinear", align_corners=False)
        return (scores[..., None, None] + close + learnt).softmax(1)

    def explicit(self, facts: Told) -> Tensor:
        """Return log weights ``(n, frames)`` from explicit features: the mean of all fits."""
        weights = [two_passes(facts, *one) for one in zip(self.first, self.second, self.whole, strict=True)]
        return torch.stack(weights).mean(0).clamp(min=1e-9).log()

    def fit(self, facts: Told, truth: Tensor) -> None:
        """Set the weights of the explicit features so that mixtures correlate best with what came.

        `facts`: what `told` said of the past frames of n windows. `truth`: ``(n, frames)`` their
        correlations c with the frame to come. Of frames of mean 0 and norm 1 a mixture's correlation is w·c
        / √(w·G·w).
        """
        for k in range(FITS):
            part = tuple(one[k::FITS] for one in facts)
            weights = [
                one[k].detach().clone().requires_grad_() for one in (self.first, self.second, self.whole)
            ]
            _minimise(weights, part, truth[k::FITS])  # type: ignore[arg-type]
            with torch.no_grad():
                self.first[k], self.second[k], self.whole[k] = weights


def two_passes(facts: Told, first: Tensor, second: Tensor, whole: Tensor) -> Tensor:
    """Return the weights ``(n, frames)`` that one fit gives; the second pass sees the first one's mixture."""
    alike, features, absent = facts
    weights = (features @ first + absent).softmax(1)
    shared = (alike @ weights[..., None])[..., 0]
    power = (shared * weights).sum(1, keepdim=True).clamp(min=1e-6)
    return (features @ second + absent + 8 * whole * shared / power.sqrt()).softmax(1)


def _minimise(weights: list[Tensor], facts: Told, truth: Tensor) -> None:
    optimizer = torch.optim.LBFGS(weights, max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        share = two_passes(facts, *weights)
        power = torch.einsum("ni,nij,nj->n", share, facts[0], share).clamp(min=1e-6)
        ridge = torch.stack([(w**2).sum() for w in weights]).sum()
        total = RIDGE * ridge - ((share * truth).sum(1) / power.sqrt()).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]


def unit(frames: Tensor) -> Tensor:
    """Return frames ``(n, frames, …)`` as vectors of mean 0 and norm 1; flat ones stay near 0."""
    flat = frames.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    norm: Tensor = flat.norm(dim=2, keepdim=True)
    return flat / (norm + 1e-3)


def told(frames: Tensor, days: Tensor, cloud: Tensor) -> Told:
    """Return correlations of the frames, their explicit features, and a score that hides what is not there.

    `frames`: ``(n, frames, bands, rows, cols)``. `days`: ``(n, frames)`` days from each frame to the moment
    asked for. `cloud`: ``(n, frames)`` shares of cloud; NaN for a frame that is not there.

    Returns ``(n, frames, frames)``; ``(n, frames, FEATURES)``: logarithm of the age, four times the mean
    correlation with the other frames, cloud; and ``(n, frames)``, 0 or `ABSENT`.
    """
    there = (~cloud.isnan()).to(frames.dtype)
    vectors = unit(frames)
    alike = vectors @ vectors.transpose(1, 2)
    others = alike * (1 - torch.eye(frames.shape[1], device=frames.device, dtype=frames.dtype))
    mean = (others * there[:, None]).sum(2) / (there.sum(1, keepdim=True) - 1).clamp(min=1)
    features = torch.stack([(1 + days.abs()).log(), 4 * mean, cloud.nan_to_num(1.0)], -1)
    return alike, features, ABSENT * (1 - there)


def agreement(frames: Tensor, mixture: Tensor, width: int) -> Tensor:
    """Correlate frames ``(n, frames, rows, cols)`` around each place with a mixture ``(n, 1, …)``."""
    side = width // 2 * 2 + 1

    def around(x: Tensor) -> Tensor:
        for shape in ((side, 1), (1, side)):
            border = (shape[0] // 2, shape[1] // 2)
            x = F.avg_pool2d(x, shape, 1, border, count_include_pad=False)
        return x

    a, b = frames - around(frames), mixture - around(mixture)
    return around(a * b) / (around(a * a) * around(b * b) + 1e-3).sqrt()


def mix(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over frames of ``(n, frames, channels, rows, cols)``; weights are averaged to fit."""
    if weights.shape[-2:] != values.shape[-2:]:
        weights = F.adaptive_avg_pool2d(weights, (values.shape[-2], values.shape[-1]))
    return (values * weights[:, :, None]).sum(1)
