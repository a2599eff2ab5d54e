"""Work on images and fields strip by strip, so that what it needs in between does not grow with the scene."""

from collections.abc import Callable

import numpy as np

from icectl.arrays import Array
from icectl.imagery.threads import in_threads

PIXELS = 2**20
"""Pixels of a strip."""


def in_strips(
    work: Callable[..., tuple[Array, ...]], *arrays: Array, halo: int, pixels: int | None = None
) -> tuple[Array, ...]:
    """Do `work` on strips of rows in two threads, and put the results together.

    Parameters
    ----------
    work
        Takes as many arrays as are given, of some rows each, and returns a tuple of arrays of these rows.
        What it says of a row must not depend on rows more than `halo` away.
    arrays
        ``(rows, cols, …)``, all of the same rows; the columns of the first count.
    halo
        Rows that each strip gets on either side.
    pixels
        About how many a strip holds (`PIXELS`); it has at least as many rows as its two halos.

    Examples
    --------
    >>> import numpy as np
    >>> def upwards(field):
    ...     return (np.diff(field, axis=0, append=np.nan),)
    >>> in_strips(upwards, np.arange(6.0)[:, None] ** 2, halo=1, pixels=2)[0].ravel()
    array([ 1.,  3.,  5.,  7.,  9., nan])
    """
    rows, cols = arrays[0].shape[:2]
    height = max((pixels or PIXELS) // max(cols, 1), 2 * halo, 1)

    def strip(top: int) -> tuple[Array, ...]:
        first, last = max(top - halo, 0), min(top + height + halo, rows)
        found = work(*(array[first:last] for array in arrays))
        return tuple(part[top - first : top - first + height] for part in found)

    parts = list(in_threads(strip, range(0, max(rows, 1), height)))
    return tuple(np.concatenate(of_one) for of_one in zip(*parts, strict=True))
