"""Deterministic random fields: every draw is named by a seed and words, never by call order."""

import zlib

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from icectl.arrays import F64


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one named purpose, e.g. ``generator(0, "clouds", 730_000)``."""
    keys = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.default_rng([seed, *keys])


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    exponent: float,
    longest: float,
    shortest: float = 0.0,
    *,
    aspect: float = 1.0,
) -> F64:
    """Return a Gaussian random field of zero mean and unit variance with a power-law spectrum.

    The spectral density falls as ``wavenumber ** -exponent`` between the wavelengths `longest` and
    `shortest` (pixels) and vanishes outside; 3 to 4 resembles mountain relief. The field is drawn on a
    larger torus and cut, so that opposite edges do not match.

    `aspect`: stretch along the columns: above 1, features are longer in x than in y.
    """
    size = tuple(fft.next_fast_len(int(n + min(longest, n)) + 8, real=True) for n in shape)
    spectrum = fft.rfft2(rng.standard_normal(size))
    rows, columns = fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])[None, :] * aspect
    wavenumber = np.hypot(rows, columns)
    wavenumber[0, 0] = np.inf
    gain = wavenumber ** (-exponent / 2)
    gain[wavenumber < 1.0 / longest] = 0.0
    if shortest > 0:
        gain *= np.exp(-0.5 * (wavenumber * shortest) ** 2)
    field = fft.irfft2(spectrum * gain, s=size)[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12))


def smooth(field: npt.ArrayLike, sigma: float) -> F64:
    """Return `field` after a Gaussian filter of `sigma` pixels; edges are repeated."""
    return np.asarray(ndimage.gaussian_filter(np.asarray(field, "float64"), sigma, mode="nearest"))


def resize(field: npt.ArrayLike, shape: tuple[int, int], order: int = 1) -> F64:
    """Return `field` interpolated onto a grid of `shape` that covers the same ground (pixel areas)."""
    source = np.asarray(field, "float64")
    axes = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, source.shape, strict=True)]
    points = np.meshgrid(*axes, indexing="ij")
    return np.asarray(ndimage.map_coordinates(source, points, order=order, mode="nearest"))


def coarsen(field: npt.ArrayLike, factor: int) -> F64:
    """Return the means of blocks of ``factor × factor`` pixels; the shape must be a multiple of it."""
    source = np.asarray(field, "float64")
    rows, columns = source.shape[0] // factor, source.shape[1] // factor
    return np.asarray(source.reshape(rows, factor, columns, factor).mean(axis=(1, 3)))
