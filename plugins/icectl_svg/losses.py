"""Parts of the loss. Each returns errors per sample, ``(n,)``; the learner averages them."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def squared(made: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of frames ``(n, steps, bands, rows, cols)``, summed over steps."""
    return ((made - truth) ** 2).mean((2, 3, 4)).sum(1)


def peak_mask(truth: Tensor, radius: int) -> Tensor:
    """Disc of `radius` pixels around the brightest place of each frame: 1 inside, 0 outside.

    The place is the maximum of the frame smoothed over 5×5 pixels, so that one speckle is no peak
    (Min et al. 2019 name the area but not how its centre is found).
    """
    frames = truth.flatten(0, 1).mean(1, keepdim=True)
    smooth = F.avg_pool2d(frames, 5, 1, 2, count_include_pad=False)
    rows, cols = frames.shape[-2:]
    y, x = torch.unravel_index(smooth.flatten(1).argmax(1), (rows, cols))
    ys = torch.arange(rows, device=truth.device)[None, :, None] - y[:, None, None]
    xs = torch.arange(cols, device=truth.device)[None, None] - x[:, None, None]
    disc = (ys**2 + xs**2 <= radius**2).to(truth.dtype)
    result: Tensor = disc.reshape(*truth.shape[:2], 1, rows, cols)
    return result


def around_peak(made: Tensor, truth: Tensor, radius: int) -> Tensor:
    """Mean squared error inside the disc around each frame's peak, summed over steps: ``(n,)``."""
    disc = peak_mask(truth, radius)
    inside = ((made - truth) ** 2 * disc).sum((2, 3, 4))
    return (inside / (disc.sum((2, 3, 4)) * made.shape[2])).sum(1)


def decorrelation(made: Tensor, truth: Tensor) -> Tensor:
    """1 − correlation of each frame, averaged over bands and summed over steps: ``(n,)``."""
    a, b = (x.flatten(3) - x.flatten(3).mean(3, keepdim=True) for x in (made, truth))
    score = (a * b).sum(3) / (a.norm(dim=3) * b.norm(dim=3) + 1e-3)
    result: Tensor = (1 - score).mean(2).sum(1)
    return result


class Critic(nn.Module):
    """Patch discriminator: does a frame look real at each place? Spectral norms, no batch statistics."""

    def __init__(self, bands: int, width: int = 16) -> None:
        super().__init__()
        widths = (bands, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [
                nn.utils.parametrizations.spectral_norm(nn.Conv2d(before, after, 4, 2, 1)),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Return a score for each frame ``(n, steps, bands, rows, cols)``: ``(n,)``."""
        scores: Tensor = self.layers(frames.flatten(0, 1)).mean((1, 2, 3))
        return scores.reshape(frames.shape[:2]).mean(1)
