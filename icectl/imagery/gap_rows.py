"""Gap filling of a band that is too large for the memory, in strips of rows."""

from collections.abc import Callable, Sequence

import numpy as np

from icectl.arrays import F32
from icectl.imagery.gaps import REACH, passes

PASSES = 32
"""Passes of one round over the strips of a band; each sees so far beyond its own rows."""


def fill_rows(
    read: Callable[[slice], F32], write: Callable[[slice, F32], None], strips: Sequence[slice]
) -> None:
    """Fill the gaps of a band that is kept elsewhere, in strips: the passes of `fill_gaps`, in rounds.

    `strips`: all rows in order; ``read(rows)`` returns any rows in an array of its own, and
    ``write(rows, values)`` puts those of one strip in their place.
    """
    most = min(PASSES, max(1, (strips[0].stop - strips[0].start) // REACH)) if len(strips) > 1 else None
    reach, left, first = (most or 0) * REACH, list(strips), True
    while left:
        again, gained, old, below = list[slice](), 0, np.empty(0, np.float32), -1
        for rows in left:
            top = max(rows.start - reach, 0)
            part = read(slice(top, min(rows.stop + reach, strips[-1].stop)))
            own = slice(rows.start - top, rows.stop - top)
            if below == rows.start:  # the rows above as they were before this round, like those beneath
                part[: own.start] = old
            old, below = part[own][-reach:].copy(), rows.stop
            if gaps := int(np.isnan(part[own]).sum()):
                made = passes(part, most, first)[own]
                write(rows, made)
                rest = int(np.isnan(made).sum())
                gained += gaps - rest
                again += [rows] * (rest > 0)
        left, first = again if gained or first else [], False
