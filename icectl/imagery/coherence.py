"""Weights of the frequencies of two aligned scenes, by how far the scenes agree in each.

What two scenes share of a wavelength differs from pair to pair: noise of a detector hides the short ones,
light and snow that change hide the long ones, ice that is strained loses the short ones first. A shift
between two signals in noise is told best if each frequency f counts by γ / ((1 − γ²) S), with the coherence γ
and the spectrum S (Knapp and Carter 1976, doi:10.1109/TASSP.1976.1162830), and the variance left to it is the
inverse of Σ (2πf)² γ² / (1 − γ²).
"""

import numpy as np
from scipy import fft

from icectl.arrays import F32, F64, Bools

RINGS = 20
"""Rings of frequency, up to half a cycle a pixel, in which the coherence is measured."""

LEAST, MOST = 0.01, 0.98
"""Coherences believed: beyond them a single ring could decide alone."""


def emphasise(images: tuple[F32, F32], masks: tuple[Bools, Bools]) -> tuple[tuple[F32, F32], float]:
    """Bring out what two aligned scenes have in common.

    Parameters
    ----------
    images, masks
        Scenes ``(rows, cols)`` of one shape with their local mean removed, and the pixels that count.

    Returns
    -------
    The scenes with their frequencies weighed, and the variance of a shift along one axis in pixels² that
    one pixel would tell: that of n pixels is a nth of it.
    """
    shape = tuple(fft.next_fast_len(n + RINGS, real=True) for n in images[0].shape)
    rows, cols = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    radius = np.hypot(rows.astype(np.float32), cols.astype(np.float32)) * np.float32(2 * RINGS)
    ring = np.minimum(radius, RINGS).astype(np.uint8).ravel()  # the last one holds the corners
    waves = [
        fft.rfft2(np.where(m, image, np.float32(0)), shape) for image, m in zip(images, masks, strict=True)
    ]

    def total(values: F32 | F64) -> F64:
        return np.asarray(np.bincount(ring, values.ravel(), RINGS + 1), np.float64)

    number = total(np.ones(radius.shape))
    cross = total((waves[0] * waves[1].conj()).real)
    power = np.sqrt(total(np.abs(waves[0]) ** 2) * total(np.abs(waves[1]) ** 2))
    share = float((masks[0] & masks[1]).sum() / np.prod(shape))
    chance = 1 / np.sqrt(np.maximum(number * share, 1))
    coherence = np.clip(cross / np.maximum(power, 1e-30) - chance, LEAST, MOST)
    signal = coherence**2 / (1 - coherence**2)
    weight = np.sqrt(signal / coherence * number / np.maximum(power, 1e-12 * power.max() + 1e-30))
    centre = np.arange(RINGS + 1) + 0.5
    every = np.interp(radius, centre, weight).astype(np.float32)
    size = images[0].shape
    first, second = (
        np.asarray(fft.irfft2(w * every, shape)[: size[0], : size[1]], np.float32) for w in waves
    )
    squares = (np.pi * centre / RINGS) ** 2 / 2  # of the wave number along one axis
    return (first, second), float(number.sum() / (squares * signal * number).sum())
