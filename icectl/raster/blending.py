"""Prediction of a whole scene window by window, blended without seams, in memory of a few rows of windows."""

from collections.abc import Callable

import numpy as np

from icectl.arrays import F32, Array
from icectl.errors import UsageError
from icectl.raster.tiles import Window, plan, starts


def blend_profile(window: int, overlap: int) -> F32:
    """Return the weights ``(window,)`` of a window along one axis: a ramp over the overlap at either end.

    Two regular neighbours sum to one where they overlap by at most half a window; `predict_blended`
    divides by the true sum everywhere.
    """
    rise = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1))
    return (np.minimum(rise, overlap + 1) / (overlap + 1)).astype(np.float32)


def predict_blended(
    read_block: Callable[[Window], Array],
    network: Callable[[Array], Array],
    shape: tuple[int, int],
    window: int,
    overlap: int,
    tile: int,
    write_block: Callable[[Array, int, int], None],
    *,
    batch: int = 4,
    advance: Callable[..., None] | None = None,
) -> None:
    """Apply a network to a whole scene, window by window, blended without seams.

    Every pixel is read once and written once. Memory holds some ``tile + 2 * window`` rows of the
    scene, whatever its height.

    Parameters
    ----------
    read_block
        Returns rows ``(C, height, width)`` of the scene, over its whole width.
    network
        Maps a batch ``(N, C, window, window)`` to ``(N, K, window, window)``.
    shape
        Rows and columns of the scene.
    window, overlap
        The network's training size, and pixels shared by neighbouring windows.
    tile
        Rows that are read at a time, and side of the blocks written; it does not change the result.
    write_block
        Takes a block ``(K, height, width)`` in float32 with its first row and column.
    batch
        Windows a call of the network; the last batch of a row of windows is smaller.
    advance
        Called with the number of windows done (see `Run.progress`).
    """
    plan(shape, window, overlap)  # refuses a bad overlap
    if tile < 1 or batch < 1:
        raise UsageError(f"tile = {tile} and batch = {batch} must be positive")
    rows, columns = shape
    source = _RowReader(read_block, shape, tile)
    sink = _RowBlender(write_block, shape, window, overlap, tile)
    lefts = starts(columns, window, overlap)
    for top in starts(rows, window, overlap):
        strip = _padded(source.rows(top, min(top + window, rows)), window)
        for first in range(0, len(lefts), batch):
            cols = lefts[first : first + batch]
            out = network(np.stack([strip[:, :, col : col + window] for col in cols]))
            sink.add(np.asarray(out, dtype=np.float32), top, cols)
            if advance is not None:
                advance(len(cols))
        sink.finish_above(_next_start(top, rows, window, overlap))
    sink.close()


def _next_start(top: int, rows: int, window: int, overlap: int) -> int:
    """Return the first row that later windows still touch: all above it is finished."""
    later = [start for start in starts(rows, window, overlap) if start > top]
    return later[0] if later else rows


def _padded(strip: Array, window: int) -> Array:
    """Grow a strip ``(C, rows, columns)`` to at least one window by reflection at its lower right."""
    down, right = max(0, window - strip.shape[1]), max(0, window - strip.shape[2])
    return np.pad(strip, ((0, 0), (0, down), (0, right)), mode="symmetric") if down or right else strip


class _RowReader:
    """Hand out rows of a scene of which `tile` are read at a time, each pixel once."""

    def __init__(self, read_block: Callable[[Window], Array], shape: tuple[int, int], tile: int) -> None:
        self._read, self._shape, self._tile = read_block, shape, tile
        self._buffer: Array | None = None
        self._top = self._bottom = 0

    def rows(self, top: int, bottom: int) -> Array:
        """Return rows ``[top, bottom)`` over the whole width; `top` may only grow from call to call."""
        while self._bottom < bottom:
            self._grow(top)
        assert self._buffer is not None
        return self._buffer[:, top - self._top : bottom - self._top]

    def _grow(self, keep_from: int) -> None:
        rows, columns = self._shape
        height = min(self._tile, rows - self._bottom)
        band = self._read(Window(self._bottom, 0, height, columns))
        if self._buffer is not None and keep_from < self._bottom:
            band = np.concatenate([self._buffer[:, keep_from - self._top :], band], axis=1)
        self._bottom += height
        self._buffer, self._top = band, self._bottom - band.shape[1]


class _RowBlender:
    """Add up weighted windows, and write rows in blocks of `tile` as they are finished."""

    def __init__(
        self,
        write_block: Callable[[Array, int, int], None],
        shape: tuple[int, int],
        window: int,
        overlap: int,
        tile: int,
    ) -> None:
        self._write, self._shape, self._window, self._tile = write_block, shape, window, tile
        profile = blend_profile(window, overlap)
        self._weights = np.outer(profile, profile)
        self._row_sum, self._col_sum = (_weight_sum(n, window, overlap, profile) for n in shape)
        self._sum: Array | None = None  # rows [_top, _top + tile + 2 windows) at most
        self._top = self._done = 0

    def add(self, out: Array, top: int, lefts: list[int]) -> None:
        """Add windows ``(N, K, window, window)`` that start at row `top` and columns `lefts`."""
        rows, columns = self._shape
        if self._sum is None:
            size = min(rows, self._tile + 2 * self._window)
            self._sum = np.zeros((out.shape[1], size, columns), np.float32)
        row, bottom = top - self._top, min(top + self._window, rows) - self._top
        for values, left in zip(out, lefts, strict=True):
            weighted = values * self._weights
            right = min(left + self._window, columns)
            self._sum[:, row:bottom, left:right] += weighted[:, : bottom - row, : right - left]

    def finish_above(self, row: int) -> None:
        """Take rows above `row` as finished; write those that fill a tile."""
        self._done = row
        while self._done - self._top >= self._tile:
            self._flush(self._tile)

    def close(self) -> None:
        if self._done > self._top:
            self._flush(self._done - self._top)

    def _flush(self, height: int) -> None:
        assert self._sum is not None
        columns = self._shape[1]
        weights = self._row_sum[self._top : self._top + height, np.newaxis] * self._col_sum
        for col in range(0, columns, self._tile):
            part = slice(col, min(col + self._tile, columns))
            self._write(self._sum[:, :height, part] / weights[:, part], self._top, col)
        rest = self._sum.shape[1] - height
        self._sum[:, :rest] = self._sum[:, height:].copy()
        self._sum[:, rest:] = 0
        self._top += height


def _weight_sum(length: int, window: int, overlap: int, profile: Array) -> F32:
    """Return the sum of all windows' weights along one axis; the sum over a scene is their outer product."""
    total = np.zeros(max(length, window), np.float64)
    for start in starts(length, window, overlap):
        total[start : start + window] += profile
    return total[:length].astype(np.float32)
