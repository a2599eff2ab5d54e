"""Cloud-optimised GeoTIFFs, whole or block by block, that appear complete or not at all."""

import errno
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from PIL import Image

from icectl.arrays import U8, Array
from icectl.errors import DataError
from icectl.raster.files import cache_settings, opened, replacing
from icectl.raster.grid import Grid
from icectl.raster.provenance import provenance

BLOCK = 512
"""Side of a COG's inner tiles in pixels."""


class BlockWriter:
    """Write a raster block by block; on a clean exit it becomes a COG with overviews.

    Blocks go to a tiled GeoTIFF beside `path`, so memory holds one block and GDAL's cache. If the
    body of the ``with`` statement fails, `path` stays as it was.

    Parameters
    ----------
    path
        The COG to make.
    grid
        CRS, transform and shape of the whole.
    bands, dtype
        Number of bands and their type; ``bool`` is stored as ``uint8``.
    nodata
        The value of masked pixels; NaN by default for floats, none for integers.
    tags, descriptions, scales, offsets
        Tags of the file (``"units"`` becomes the unit of all bands); names, scales and offsets of the bands.

    Examples
    --------
    >>> with BlockWriter(path, grid, bands=4, dtype="float32") as writer:  # doctest: +SKIP
    ...     writer.write(block, row=0, col=512)
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        bands: int,
        dtype: npt.DTypeLike,
        nodata: float | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        descriptions: Sequence[str] | None = None,
        scales: Sequence[float] | None = None,
        offsets: Sequence[float] | None = None,
    ) -> None:
        self.path, self.grid, self.bands = Path(path), grid, bands
        self.dtype = np.dtype("uint8") if np.dtype(dtype) == bool else np.dtype(dtype)
        self.nodata = float("nan") if nodata is None and self.dtype.kind == "f" else nodata
        self._tags, self._descriptions = dict(tags or {}), descriptions
        self._scales, self._offsets = scales, offsets

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._made = stack.enter_context(replacing(self.path))
            stack.enter_context(rasterio.Env(**cache_settings()))
            rows, columns = self.grid.shape
            self._blocks = rasterio.open(
                self._made.with_name("blocks.tif"), "w",
                driver="GTiff", height=rows, width=columns, count=self.bands, dtype=self.dtype.name,
                crs=self.grid.crs and str(self.grid.crs), transform=self.grid.affine, nodata=self.nodata,
                tiled=True, blockxsize=BLOCK, blockysize=BLOCK, bigtiff="IF_SAFER", interleave="band",
            )  # fmt: skip
            stack.callback(self._blocks.close)
            self._describe()
            self._stack = stack.pop_all()
        return self

    def _describe(self) -> None:
        self._blocks.update_tags(**{**provenance(), **self._tags})
        if "units" in self._tags:
            self._blocks.units = (self._tags["units"],) * self.bands
        if self._descriptions is not None:
            self._blocks.descriptions = tuple(self._descriptions)
        if self._scales is not None:
            self._blocks.scales = tuple(self._scales)
        if self._offsets is not None:
            self._blocks.offsets = tuple(self._offsets)

    def write(self, array: Array, row: int = 0, col: int = 0) -> None:
        """Write a block ``(rows, columns)`` or ``(bands, rows, columns)`` with its corner at (row, col).

        Raises
        ------
        DataError
            The block does not fit, or has masked pixels and the file no nodata value.
        """
        block = array[np.newaxis] if array.ndim == 2 else array
        bands, height, width = block.shape
        rows, columns = self.grid.shape
        if bands != self.bands or row < 0 or col < 0 or row + height > rows or col + width > columns:
            raise DataError(
                f"a block {block.shape} at ({row}, {col}) does not fit {self.path} "
                f"({self.bands} bands, {rows} × {columns} pixels)"
            )
        self._blocks.write(self._plain(block), window=((row, row + height), (col, col + width)))

    def _plain(self, block: Array) -> Array:
        """Return the block in the file's type, with nodata where it is masked."""
        if isinstance(block, np.ma.MaskedArray):
            mask = np.ma.getmaskarray(block)
            if mask.any() and self.nodata is None:
                raise DataError(
                    f"{self.path} has masked pixels but no nodata value",
                    "give one, outside the range of the data",
                )
            # Cast first: NaN as nodata cannot be filled into integers that are about to become floats.
            plain = block.data.astype(self.dtype)
            if mask.any():
                plain[mask] = self.nodata
            return plain
        return np.asarray(block).astype(self.dtype, copy=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._blocks.close()
            self._to_cog()

    def _to_cog(self) -> None:
        quantity = self.dtype.kind == "f"
        rasterio.shutil.copy(
            self._made.with_name("blocks.tif"), self._made,
            driver="COG", blocksize=BLOCK, compress="DEFLATE", predictor="YES", bigtiff="IF_SAFER",
            overview_resampling="AVERAGE" if quantity else "NEAREST",  # a mean of flags or classes is neither
            num_threads=2,
        )  # fmt: skip
        self._check_copy()

    def _check_copy(self) -> None:
        """Compare the COG with the blocks: GDAL's copy reports no error when the disk fills up."""
        with rasterio.open(self._made) as made, rasterio.open(self._made.with_name("blocks.tif")) as blocks:
            same = all(made.checksum(band) == blocks.checksum(band) for band in range(1, self.bands + 1))
        if not same:
            raise OSError(errno.EIO, "what was written does not read back")


def write_cog(
    path: str | Path,
    array: Array,
    grid: Grid,
    *,
    nodata: float | None = None,
    tags: Mapping[str, str] | None = None,
    descriptions: Sequence[str] | None = None,
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
) -> Path:
    """Write an array as a cloud-optimised GeoTIFF with overviews.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    array
        ``(rows, columns)`` or ``(bands, rows, columns)``; masked pixels become `nodata`.
    nodata
        The value of masked pixels; NaN by default for floats.
    tags, descriptions, scales, offsets
        Tags of the file (``"units"`` becomes the unit of all bands); names, scales and offsets of the bands.

    Raises
    ------
    DataError
        The array's shape is not the grid's.
    WorkError
        The file cannot be written.
    """
    if array.ndim not in (2, 3) or tuple(array.shape[-2:]) != tuple(grid.shape):
        raise DataError(
            f"an array of shape {array.shape} does not fit the grid {tuple(grid.shape)} of {path}"
        )
    bands = 1 if array.ndim == 2 else array.shape[0]
    with BlockWriter(
        path, grid, bands, array.dtype, nodata,
        tags=tags, descriptions=descriptions, scales=scales, offsets=offsets,
    ) as writer:  # fmt: skip
        writer.write(array)
    return Path(path)


def rewrite(path: str | Path, change: Callable[[Array], Array]) -> None:
    """Replace the values of a raster by what `change` makes of them, ``(bands, rows, columns)`` as stored.

    CRS, transform, type and nodata stay.

    DataError: the file cannot be read. WorkError: the folder cannot be written or the disk is full.
    """
    with opened(path) as source:
        profile, values = source.profile, source.read()
    for key in ("driver", "blockxsize", "blockysize", "tiled", "interleave", "layout"):
        profile.pop(key, None)
    with replacing(Path(path)) as made, rasterio.open(made, "w", driver="GTiff", **profile) as target:
        target.write(change(values))


def png(values: U8, palette: U8 | None = None) -> bytes:
    """Return a PNG of grey levels, or of the colours of a palette whose number 0 is transparent.

    `values`: ``(rows, columns)``; `palette`: ``(n, 3)`` colours of the numbers from 1 on.
    """
    picture, more = Image.fromarray(values), {}
    if palette is not None:
        picture.putpalette([0, 0, 0, *palette.ravel().tolist()])
        more = {"transparency": 0}
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=False, compress_level=9, **more)
    return buffer.getvalue()
