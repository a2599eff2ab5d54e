"""SVG: stochastic video generation with a learned prior (Denton and Fergus 2018; Min et al. 2019).

At each step the encoder's features of the frame before and a latent draw drive a recurrent
predictor, whose vector the decoder turns into the next frame with the help of feature maps of
frames already seen. The latent is drawn from the posterior, which sees the frame to come, while
that is known, and from the prior afterwards. It is a vector that the predictor is fed with, as in
the papers, or a map that enters selection and decoder (`icectl_svg.latent`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from icectl_svg.latent import LatentMap
from icectl_svg.layers import Decoder, Encoder, channels_of, initialise
from icectl_svg.recurrent import Gaussian, Predictor, divergence, draw
from icectl_svg.selection import Selection, Told, mix, told

Noise = Callable[..., Tensor]
Normal = tuple[Tensor, Tensor]
Pick = Callable[[Normal, Normal | None, bool], Tensor]

LEVEL = 2
"""The encoder's map, counted from the finest, that selection and latent map are made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a network is built from; see the options of ``train`` for their meaning."""

    bands: int = 1
    size: int = 128
    vector: int = 128
    latent: int = 128
    latent_map: int = 0
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
        latent = 0 if s.latent_map else s.latent
        self.predictor = Predictor(features, latent, s.vector, s.hidden, s.predictor_layers, self.conv)
        gaussian = features, latent, s.hidden, s.gaussian_layers, self.conv
        self.posterior: Gaussian | None = Gaussian(*gaussian) if latent else None
        self.prior: Gaussian | None = Gaussian(*gaussian) if latent else None
        self.level = min(LEVEL, len(widths) - 1)
        self.selection = Selection(widths, s.vector, self.level) if self.select else None
        initialise(self)
        self.map: LatentMap | None = None
        if s.latent_map:  # after `initialise`, whose small weights would leave it silent at first
            asks = self.selection.hidden if self.selection is not None else 0
            self.map = LatentMap(widths[self.level], s.vector, s.latent_map, asks)
        if self.select:
            nn.init.zeros_(self.decoder.last.weight)  # begin as a mixture of past frames
        if self.selection is not None:  # … by its explicit features alone
            nn.init.zeros_(self.selection.score.weight)
            if self.map is not None:
                nn.init.zeros_(self.map.ask.weight)  # type: ignore[arg-type]

    def forward(
        self,
        frames: Tensor,
        days: Tensor,
        past: int,
        noise: Noise,
        *,
        teach: bool,
        every: bool,
        latent: str,
        cloud: Tensor | None = None,
    ) -> Passed:
        """Pass over whole sequences, as training does, or go on where the frames end.

        `frames`: ``(n, known, bands, size, size)``.
        `days`: ``(n, time)`` days since the first frame; where there are more than frames, those to come.
        `past`: frames that count as seen; maps are taken from those only.
        `noise`: ``noise(latent)`` gives ``(n, latent)`` standard normal draws.
        `teach`: feed the true frame before (the reference) or, after `past`, the generated one.
        `every`: generate all frames from the second on, or only those after `past`.
        `latent`: ``"posterior"``, ``"prior"`` or ``"both"``: where the latent comes from after `past`; see
            `picker`.
        `cloud`: ``(n, known)`` shares of cloud, NaN for a frame that is not there; without it all are clear.
        """
        n, known = frames.shape[:2]
        cloud = frames.new_zeros(n, known) if cloud is None else cloud
        vectors, maps = self.encoder(frames.flatten(0, 1))
        maps = [m.unflatten(0, (n, known)) for m in maps]
        features = maps[-1] if self.conv else vectors.unflatten(0, (n, known))
        states = [self.predictor.cells.start(features[:, 0])]
        if self.posterior is not None and self.prior is not None:
            states += [part.cells.start(features[:, 0]) for part in (self.posterior, self.prior)]
        total, made, steps = frames.new_zeros(n), [], []
        pick = picker(noise, latent)
        before = features[:, 0]
        for t in range(1, days.shape[1]):
            seen, ahead = min(t, past), t >= past
            if teach or t <= past:
                before = features[:, t - 1]
            z = frames.new_empty(n, 0)
            if self.posterior is not None and self.prior is not None:
                p, states[2] = self.prior(before, states[2])
                q = None
                if t < known:
                    q, states[1] = self.posterior(features[:, t], states[1])
                    total = total + divergence(q, p)
                z = pick(p, q, ahead)
            vector, states[0] = self.predictor(before, z, states[0])
            if not (every or ahead):
                continue
            past_maps, lags = [m[:, :seen] for m in maps], days[:, t : t + 1] - days[:, :seen]
            place = None
            if self.map is not None:
                truth = maps[self.level][:, t] if t < known else None
                p, q = self.map(past_maps[self.level], vector, lags, truth)
                total = total if q is None else total + divergence(q, p)
                place = self.map.spread(pick(p, q, ahead), past_maps[self.level])
            facts = told(frames[:, :seen], lags, cloud[:, :seen])
            frame = self._decode(vector, frames[:, :seen], past_maps, facts, place)
            made.append(frame)
            steps.append(t)
            if not teach and ahead and t + 1 < days.shape[1]:
                again, upper = self.encoder(frame)
                before = upper[-1] if self.conv else again
        return Passed(torch.stack(made, 1), tuple(steps), total)

    @torch.no_grad()
    def generate(self, past: Tensor, days: Tensor, noise: Noise, cloud: Tensor | None = None) -> Tensor:
        """Return the frames that follow: ``(n, steps, bands, size, size)``.

        `past` is ``(n, past, bands, size, size)``, `days` ``(n, past + steps)``, `cloud` ``(n, past)``; the
        frames to come are unknown here, so nothing of them can leak.
        """
        seen = past.shape[1]
        made = self(past, days, seen, noise, teach=False, every=False, latent="prior", cloud=cloud)
        frames: Tensor = made.frames
        return frames

    def _decode(
        self, vector: Tensor, frames: Tensor, maps: list[Tensor], facts: Told, place: Tensor | None
    ) -> Tensor:
        """Decode with the maps of the last frame seen, or with a mixture of all of them.

        A latent map `place` has a say in the mixture, and is added to the maps of its level.
        """
        weights = None
        if self.selection is None:
            chosen = [m[:, -1] for m in maps]
        else:
            asked = None if self.map is None or place is None else self.map.ask(place)
            weights = self.selection(maps[self.level], frames, vector, facts, asked)
            chosen = [mix(m, weights) for m in maps]
        if self.map is not None and place is not None:
            chosen[self.level] = chosen[self.level] + self.map.tell(place)
        result: Tensor = self.decoder(vector, chosen)
        return result if weights is None else mix(frames, weights) + result


def picker(noise: Noise, latent: str) -> Pick:
    """Return what draws a latent from prior and posterior (None where the frame is unknown).

    After the past, `latent` decides: ``"posterior"``, ``"prior"``, or for each sample by chance
    (``"both"``) a draw of the posterior or the prior's mean.
    """
    chance = noise(1) > 0 if latent == "both" else None

    def pick(p: Normal, q: Normal | None, ahead: bool) -> Tensor:
        drawn = draw(p if q is None or (ahead and latent == "prior") else q, noise(p[0].shape[1]))
        return drawn if chance is None or not ahead else torch.where(chance, drawn, p[0])

    return pick
