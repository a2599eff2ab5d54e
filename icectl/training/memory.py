"""Running out of memory: how to recognise it, what to say, and how to find a batch that fits."""

import gc
from collections.abc import Callable

from icectl.errors import OUT_OF_MEMORY, WorkError

_SMALLER = "use a smaller preset, or another --device"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that a device (or the machine) has no memory left."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in OUT_OF_MEMORY)


def trial(attempt: Callable[[int], object]) -> Callable[[int], bool]:
    """Return a function that says whether ``attempt(size)`` fits into memory."""

    def fits(size: int) -> bool:
        try:
            attempt(size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            free()
        return True

    return fits


def free() -> None:
    """Give memory that a failed attempt held back to the device."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def worded(tried: int, fits: Callable[[int], bool] | None) -> WorkError:
    """Return the error for the user: the batch that was tried, and what would fit.

    `fits` tries a smaller batch for real; without it half the batch is suggested.
    """
    free()
    message = f"out of memory with a batch of {tried}"
    if fits is None:
        return WorkError(
            message, f"try --batch-size {max(1, tried // 2)}, or --batch-size auto to find what fits"
        )
    size = tried // 2
    while size and not fits(size):
        size //= 2
    if size:
        return WorkError(
            f"{message}; a batch of {size} fits", f"use --batch-size {size}, or --batch-size auto"
        )
    return WorkError(f"{message}; not even one sample fits", _SMALLER)


def find_batch_size(fits: Callable[[int], bool], limit: int) -> int:
    """Return the largest batch up to `limit` that fits: doubling, then halving the gap.

    Raises
    ------
    WorkError
        Not even one sample fits.

    Examples
    --------
    >>> find_batch_size(lambda size: size <= 21, limit=1000)
    21
    """
    good, size = 0, min(1, limit)
    while fits(size):
        good = size
        if size == limit:
            return good
        size = min(2 * size, limit)
    if not good:
        raise WorkError(f"not even a batch of {size} fits into memory", _SMALLER)
    bad = size
    while bad - good > max(1, good // 16):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
