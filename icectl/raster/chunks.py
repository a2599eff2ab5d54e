"""Zarr stores that stages write and read: every chunk is written, each with a checksum (CRC-32C).

Zarr gives fill values for a chunk that is not there, and uncompressed chunks hold nothing that shows
damage. Stores of ours leave no chunk out, so that a missing one is known by the stage's record.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icectl.errors import DataError, IcectlError, brief, worded
from icectl.workspace import RECORD, damage

_AGAIN = "run the stage that writes it again with --force"


def layout(compressed: bool = True) -> dict[str, Any]:
    """Return the arguments of ``zarr.Group.create_array`` by which chunks carry checksums.

    `compressed`: False for arrays that compression makes slower to read and hardly smaller.
    """
    return {"compressors": _codecs(compressed), "config": {"write_empty_chunks": True}}


def write_store(data: Any, path: Path, **encoding: Mapping[str, Any]) -> None:
    """Write an `xarray.Dataset` as a Zarr store of format 3 whose chunks all carry checksums.

    `encoding`: of a variable: ``chunks``, a tuple of lengths, and ``compressed``, True by default.
    """
    chosen = {}
    for name in data.variables:
        own = dict(encoding.get(str(name), {}))
        chosen[name] = {"compressors": _codecs(own.pop("compressed", True)), **own}
    data.to_zarr(path, mode="w", zarr_format=3, consolidated=False, encoding=chosen, write_empty_chunks=True)


def gather(folder: Path) -> None:
    """Put what a store's files say of it into one, where xarray and GDAL look first; of each in `folder`."""
    import zarr

    for path in folder.glob("*.zarr"):
        with warnings.catch_warnings(action="ignore"):  # format 3 has no word for it yet
            zarr.consolidate_metadata(path)


def _codecs(compressed: bool) -> tuple[Any, ...]:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return (ZstdCodec(level=0), Crc32cCodec()) if compressed else (Crc32cCodec(),)


def expect_chunks(path: Path) -> None:
    """Refuse a store from which a file is missing that the record of its stage lists.

    `path`: the store, in the folder of its stage. A stage that is not finished has no record yet.

    DataError: a file is missing or has another size.
    """
    if (path.parent / RECORD).is_file():
        wrong = [name for name in damage(path.parent, 0) if name.split("/")[0] == path.name]
        if wrong:
            raise DataError(f"{path.parent / wrong[0]} is damaged: it is not what was written", _AGAIN)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a store at `path` in one sentence that what is read from it is damaged.

    DataError: zarr cannot read it: a checksum differs, or a chunk cannot be decoded.
    """
    try:
        yield
    except IcectlError:
        raise
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        said = None if isinstance(error, FileNotFoundError) else worded(error, path)
        if said is not None:
            raise said from error
        why = "a checksum differs" if "checksum" in str(error) else brief(error)
        raise DataError(f"{path} is damaged: {why}", _AGAIN) from error
