"""The network over one image: windows of its training size, averaged where they overlap."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Network = Callable[[Floats], Floats]
"""(windows, bands, side, side) layers to (windows, 2, side, side) probabilities."""


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Return first pixels of windows that cover a side, the last one flush with the end."""
    last = max(0, length - window)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


def predict_windows(
    layers: Floats, network: Network, window: int = 224, stride: int = 16, batch: int = 16
) -> Floats:
    """Return averaged probabilities of one image.

    Parameters
    ----------
    layers
        (bands, rows, columns) in [-1, 1]; sides below `window` are padded by reflection.
    network
        Probabilities of a stack of windows.
    window, stride, batch
        Side of a window, pixels between windows, windows at a time.

    Returns
    -------
    ndarray
        (2, rows, columns) float32: edge and ice mask.
    """
    rows, columns = layers.shape[1:]
    padded = pad_to(layers, (window, window))
    height, width = padded.shape[1:]
    places = [
        (r, c) for r in window_starts(height, window, stride) for c in window_starts(width, window, stride)
    ]
    total = np.zeros((2, height, width), np.float32)
    weight = np.zeros((height, width), np.float32)
    for start in range(0, len(places), batch):
        chosen = places[start : start + batch]
        stack = np.stack([padded[:, r : r + window, c : c + window] for r, c in chosen])
        for (r, c), value in zip(chosen, network(stack), strict=True):
            total[:, r : r + window, c : c + window] += value
            weight[r : r + window, c : c + window] += 1
    total /= weight
    return total[:, :rows, :columns]


def pad_to(layers: Floats, shape: Sequence[int]) -> Floats:
    """Pad (bands, rows, columns) below and to the right by reflection, up to at least `shape`."""
    missing = [max(0, want - have) for want, have in zip(shape, layers.shape[1:], strict=True)]
    if not any(missing):
        return layers
    return np.asarray(np.pad(layers, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric"))


def predict_whole(layers: Floats, network: Network, multiple: int = 32) -> Floats:
    """Return probabilities of one image seen at once, sides padded to a multiple."""
    rows, columns = layers.shape[1:]
    shape = [-(-side // multiple) * multiple for side in (rows, columns)]
    return np.asarray(network(pad_to(layers, shape)[None])[0][:, :rows, :columns])


def predict_zoomed(layers: Floats, predict: Network, zoom: float) -> Floats:
    """Return the prediction of a magnified image on the image's own pixels.

    Parameters
    ----------
    layers
        (bands, rows, columns).
    predict
        Layers of any size to (2, rows, columns) probabilities.
    zoom
        Magnification; 1 is the image as it is.
    """
    if zoom == 1:
        return predict(layers)
    rows, columns = (max(1, round(side * zoom)) for side in layers.shape[1:])
    return resize(predict(resize(layers, (rows, columns))), layers.shape[1:])


def resize(bands: Floats, shape: Sequence[int]) -> Floats:
    """Resample (bands, rows, columns) to `shape`: averaged when it shrinks, else interpolated."""
    rows, columns = shape
    how = cv2.INTER_AREA if rows < bands.shape[1] else cv2.INTER_LINEAR
    moved = [cv2.resize(np.ascontiguousarray(band), (columns, rows), interpolation=how) for band in bands]
    return np.stack(moved)


def mirrored(network: Network) -> Network:
    """Return a network that averages each window with its mirror image (left and right)."""

    def both(windows: Floats) -> Floats:
        pair = network(windows) + network(windows[..., ::-1].copy())[..., ::-1]
        return np.asarray(pair / 2, np.float32)

    return both
