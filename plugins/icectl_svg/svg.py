"""SVG: stochastic video generation with a learned prior (Denton and Fergus 2018; Min et al. 2019).

At each step the encoder's features of the frame before and a latent draw drive a recurrent
predictor, whose vector the decoder turns into the next frame with the help of feature maps of
frames already seen. The latent is drawn from the posterior, which sees the frame to come, while
that is known, and from the prior afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from icectl_svg.layers import Decoder, Encoder, channels_of, initialise
from icectl_svg.recurrent import Gaussian, Predictor, divergence, draw
from icectl_svg.selection import Selection, mix

Noise = Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a network is built from; see the options of ``train`` for their meaning."""

    bands: int = 1
    size: int = 128
    vector: int = 128
    latent: int = 128
    hidden: int = 128
    predictor_layers: int = 2
    gaussian_layers: int = 2
    width: int = 64
    norm: str = "batch"
    recurrence: str = "lstm"
    skip: str = "last"


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass gave: frames ``(n, k, bands, size, size)`` for steps `steps`, and KL ``(n,)``."""

    frames: Tensor
    steps: tuple[int, ...]
    divergence: Tensor


class SVG(nn.Module):
    """The whole network."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = s = sizes
        self.conv, self.select = s.recurrence == "convlstm", s.skip == "attention"
        widths = channels_of(s.size, s.width)
        features = widths[-1] if self.conv else s.vector
        self.encoder = Encoder(s.bands, s.size, 0 if self.conv else s.vector, s.width, s.norm)
        self.decoder = Decoder(s.bands, s.size, s.vector, s.width, s.norm, squash=not self.select)
        self.predictor = Predictor(features, s.latent, s.vector, s.hidden, s.predictor_layers, self.conv)
        self.posterior = Gaussian(features, s.latent, s.hidden, s.gaussian_layers, self.conv)
        self.prior = Gaussian(features, s.latent, s.hidden, s.gaussian_layers, self.conv)
        self.selection = Selection(widths, s.vector) if self.select else None
        initialise(self)
        if self.select:
            nn.init.zeros_(self.decoder.last.weight)  # begin as a mixture of past frames

    def forward(
        self, frames: Tensor, days: Tensor, past: int, noise: Noise, *, teach: bool, every: bool, latent: str
    ) -> Passed:
        """Pass over whole sequences, as training does.

        Parameters
        ----------
        frames
            ``(n, time, bands, size, size)``.
        days
            ``(n, time)`` days since the first frame.
        past
            Frames that count as seen; maps are taken from those only.
        noise
            ``noise(latent)`` gives ``(n, latent)`` standard normal draws.
        teach
            Feed the true frame before (the reference) or, after `past`, the generated one.
        every
            Generate all frames from the second on, or only those after `past`.
        latent
            ``"posterior"`` or ``"prior"``: where the latent comes from after `past`.
        """
        return self._run(frames, days, past, frames.shape[1], noise, teach=teach, every=every, latent=latent)

    @torch.no_grad()
    def generate(self, past: Tensor, days: Tensor, noise: Noise) -> Tensor:
        """Return the frames that follow: ``(n, steps, bands, size, size)``.

        `past` is ``(n, past, bands, size, size)``, `days` ``(n, past + steps)``; the frames to come
        are unknown here, so nothing of them can leak.
        """
        passed = self._run(
            past, days, past.shape[1], days.shape[1], noise, teach=False, every=False, latent="prior"
        )
        return passed.frames

    def _run(
        self,
        frames: Tensor,
        days: Tensor,
        past: int,
        time: int,
        noise: Noise,
        *,
        teach: bool,
        every: bool,
        latent: str,
    ) -> Passed:
        known = frames.shape[1]
        n = frames.shape[0]
        vectors, maps = self.encoder(frames.flatten(0, 1))
        maps = [m.unflatten(0, (n, known)) for m in maps]
        features = maps[-1] if self.conv else vectors.unflatten(0, (n, known))
        states = [part.cells.start(features[:, 0]) for part in (self.predictor, self.posterior, self.prior)]
        total, made, steps = frames.new_zeros(n), [], []
        before = features[:, 0]
        for t in range(1, time):
            seen = min(t, past)
            if teach or t <= past:
                before = features[:, t - 1]
            p, states[2] = self.prior(before, states[2])
            z = p
            if t < known:
                q, states[1] = self.posterior(features[:, t], states[1])
                total = total + divergence(q, p)
                z = q if t < past or latent == "posterior" else p
            vector, states[0] = self.predictor(before, draw(z, noise(self.sizes.latent)), states[0])
            if not (every or t >= past):
                continue
            frame = self._decode(
                vector, frames[:, :seen], [m[:, :seen] for m in maps], days[:, t : t + 1] - days[:, :seen]
            )
            made.append(frame)
            steps.append(t)
            if not teach and t >= past and t + 1 < time:
                again, upper = self.encoder(frame)
                before = upper[-1] if self.conv else again
        return Passed(torch.stack(made, 1), tuple(steps), total)

    def _decode(self, vector: Tensor, frames: Tensor, maps: list[Tensor], days: Tensor) -> Tensor:
        """Decode with the maps of the last frame seen, or with a mixture of all of them."""
        if self.selection is None:
            result: Tensor = self.decoder(vector, [m[:, -1] for m in maps])
            return result
        weights = self.selection(maps, vector, days)
        mixed: Tensor = self.decoder(vector, [mix(m, weights) for m in maps])
        return mix(frames, weights) + mixed
