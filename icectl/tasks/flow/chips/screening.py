"""Screening: guessed clouds, and frames left out with the reason."""

from datetime import timedelta

import cv2
import numpy as np

from icectl.arrays import F32, Bools
from icectl.errors import DataError
from icectl.imagery.filters import high_pass, local_mean
from icectl.tasks.flow.chips.frames import Series
from icectl.tasks.flow.options import PrepareOptions

AGREEMENT = 0.35
"""Local correlation of texture with the frame most like it, below which ice is taken to be hidden."""

APART = timedelta(hours=1)
"""Frames less apart in time show one pass twice: ice moves by less between them than can be told."""

NEAR = 31
"""Width of the neighbourhood that is compared, in pixels of half the resolution."""


def guess_clouds(values: F32, valid: Bools) -> Bools:
    """Guess where clouds or their shadows hide the ground, from texture alone.

    At half the resolution, the texture of each frame (less its mean over 15 pixels, smoothed over 3,
    so that ice may move by a few pixels) is compared with that of every other frame in neighbourhoods
    of `NEAR` pixels. Ground looks like itself in at least one other frame; cloud has a texture of its
    own in each, or none. What correlates with no other frame by `AGREEMENT` counts as cloud. Meant for
    pictures without a quality band; thin cloud that lets texture through is not found, and neither is
    anything in a series with a single clear frame.

    `values`: ``(time, rows, cols)``, one band or the mean of all; `valid`: ``(time, rows, cols)``.

    Returns ``(time, rows, cols)``; never True outside `valid`. All False for fewer than three frames.
    """
    out = np.zeros(values.shape, dtype=bool)
    if len(values) < 3:
        return out
    half = (values.shape[2] // 2, values.shape[1] // 2)
    masks = [cv2.resize(m.astype(np.uint8), half, interpolation=cv2.INTER_NEAREST) > 0 for m in valid]
    small = [cv2.resize(v, half, interpolation=cv2.INTER_AREA) for v in values]
    textures = [local_mean(high_pass(v, 15, m), 3, m) for v, m in zip(small, masks, strict=True)]
    power = [local_mean(t * t, NEAR, m) for t, m in zip(textures, masks, strict=True)]
    best = np.full((len(values), half[1], half[0]), -1, np.float32)
    for i in range(len(values)):
        for j in range(i):
            shared = local_mean(textures[i] * textures[j], NEAR, masks[i] & masks[j])
            score = shared / np.sqrt(np.maximum(power[i] * power[j], 1e-12))
            best[i], best[j] = np.maximum(best[i], score), np.maximum(best[j], score)
    size = (values.shape[2], values.shape[1])
    for i, score in enumerate(best):
        hidden = cv2.medianBlur((score < AGREEMENT).astype(np.uint8), 31)
        out[i] = (cv2.resize(hidden, size, interpolation=cv2.INTER_NEAREST) > 0) & valid[i]
    return out


def screen(
    series: Series, options: PrepareOptions, aerosol_limit: float | None = None
) -> tuple[Series, Bools, list[str]]:
    """Leave out frames that cannot serve.

    `aerosol_limit`: largest share of high aerosol in percent; None: any.

    Returns the series that is left, its clouds ``(time, rows, cols)``, and a sentence for every frame left
    out.

    DataError: if fewer than two frames are left.
    """
    cloud = series.cloud
    if cloud is None and options.cloud_guess:
        cloud = guess_clouds(series.values.mean(axis=1), series.valid)
    elif cloud is None:
        cloud = np.zeros_like(series.valid)
    keep: list[int] = []
    reasons: list[str] = []
    for i, name in enumerate(series.names):
        reason = _reason(series, cloud, i, keep, options, aerosol_limit)
        if reason:
            reasons.append(f"{name} left out: {reason}")
        else:
            keep.append(i)
    if len(keep) < 2:
        raise DataError(
            f"{len(keep)} of {len(series.names)} frames are usable, 2 are needed; {'; '.join(reasons)}",
            "give more frames of this ground"
            + (", or raise --cloud-limit or --aerosol-limit" if "limit" in "".join(reasons) else ""),
        )
    return series.take(keep), cloud[keep], reasons


def _reason(
    series: Series,
    cloud: Bools,
    i: int,
    kept: list[int],
    options: PrepareOptions,
    aerosol_limit: float | None,
) -> str:
    """Say why frame `i` cannot serve, or return an empty string."""
    valid = series.valid[i]
    if not valid.any():
        return "it has no valid pixel"
    if float(np.ptp(series.values[i][:, valid])) == 0:
        return "it is constant"
    if any(abs(series.times[j] - series.times[i]) < APART for j in kept):
        return f"another frame is of the same time, {series.times[i]:%Y-%m-%d %H:%M}"
    cover = 100 * float(cloud[i][valid].mean())
    if cover > options.cloud_limit:
        return f"{cover:.0f} % of it is cloud (limit {options.cloud_limit:g} %)"
    aerosol = 100 * series.aerosol[i]
    if aerosol_limit is not None and aerosol > aerosol_limit:
        return f"{aerosol:.0f} % of it has high aerosol (limit {aerosol_limit:g} %)"
    return ""
