"""A latent map: what cannot be known of the frame to come, place by place.

SVG's latent is one vector a frame, which reaches the picture through the recurrent vector. Where a
mixture of past frames already explains nearly all of it, that vector collapses to the prior (its divergence
goes to 0, and all futures are the same). A map has a say where the open question is: which past
look each place will have, and what the sky adds. It asks for past frames in the selection, and is
added to the decoder's maps of the same size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Normal = tuple[Tensor, Tensor]


class LatentMap(nn.Module):
    """Prior and posterior over a map ``(latent, cells, cells)``, and its way into the decoder.

    `channels`: channels of the encoder's map that it is drawn from and added to.
    `vector`: length of the recurrent predictor's vector, which carries what went before.
    `latent`, `cells`: channels of the latent map and its side, at most that of the encoder's map.
    `asks`: channels of what it asks the selection for; 0 where there is no selection.
    `hidden`: channels inside.
    """

    def __init__(
        self, channels: int, vector: int, latent: int, asks: int, cells: int = 4, hidden: int = 24
    ) -> None:
        super().__init__()
        self.latent, self.cells = latent, cells
        self.own = nn.Conv2d(channels, hidden, 1)
        self.query = nn.Linear(vector, hidden)
        self.lag = nn.Sequential(nn.Linear(2, hidden), nn.Tanh())
        self.prior = _head(3 * hidden, hidden, 2 * latent)
        self.posterior = _head(3 * hidden + channels, 2 * hidden, 2 * latent)
        self.ask = nn.Conv2d(latent, asks, 1, bias=False) if asks else nn.Identity()
        self.tell = _head(latent, hidden, channels)

    def forward(
        self, maps: Tensor, vector: Tensor, days: Tensor, truth: Tensor | None
    ) -> tuple[Normal, Normal | None]:
        """Return prior and posterior, each mean and log-variance of ``(n, latent · cells²)``.

        `maps`: the encoder's maps of the past frames, ``(n, frames, channels, rows, cols)``. `vector`:
        ``(n, vector)``. `days`: ``(n, frames)`` days from each frame to the moment asked for. `truth`: the
        encoder's map of the frame to come, ``(n, channels, rows, cols)``; without it there is no posterior.
        """
        own = self.own(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        own = own + self.lag(torch.stack([days / 16, (1 + days).log()], -1))[..., None, None]
        query = self.query(vector)[..., None, None].expand_as(own[:, 0])
        known = torch.cat([own.mean(1), own.amax(1), query], 1)
        p = self._split(self.prior(known))
        return p, None if truth is None else self._split(self.posterior(torch.cat([known, truth], 1)))

    def spread(self, z: Tensor, like: Tensor) -> Tensor:
        """Return draws ``(n, latent · cells²)`` as maps of the size of `like`."""
        drawn = z.reshape(-1, self.latent, self.cells, self.cells)
        return F.interpolate(drawn, size=like.shape[-2:], mode="bilinear", align_corners=False)

    def _split(self, found: Tensor) -> Normal:
        mean, log_variance = F.adaptive_avg_pool2d(found, self.cells).flatten(1).chunk(2, 1)
        return mean, log_variance.clamp(-8, 4)


def _head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    first, last = nn.Conv2d(inputs, hidden, 3, padding=1), nn.Conv2d(hidden, outputs, 3, padding=1)
    return nn.Sequential(first, nn.LeakyReLU(0.2), last)
