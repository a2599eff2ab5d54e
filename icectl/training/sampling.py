"""Draws that do not depend on who makes them: the order of samples, and noise keyed by sample.

The same (seed, epoch) gives the same order, and the same (seed, step, sample) the same noise,
in one process or in eight, in an unbroken run or in a resumed one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order in which epoch `epoch` visits `count` samples: int64 (count,)."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator that augments sample `index` in epoch `epoch`."""
    return np.random.default_rng([seed, epoch, index])


def share(count: int, rank: int, world: int) -> slice:
    """Return the part of `count` samples that process `rank` of `world` works on.

    Parts are contiguous, differ by one sample at most, and together are the whole.
    """
    return slice(count * rank // world, count * (rank + 1) // world)


def key(*parts: int) -> int:
    """Return a 63-bit seed from integers; equal parts give an equal seed on every machine."""
    packed = struct.pack(f"<{len(parts)}q", *parts)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1


def keyed(
    draw: Callable[..., torch.Tensor],
    shape: Sequence[int],
    keys: Iterable[int],
    device: torch.device,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return draws (samples, *shape), by ``torch.randn`` or ``torch.rand``, row i of seed ``keys[i]``."""
    import torch

    generator = torch.Generator(device=device)
    rows = []
    for one in keys:
        generator.manual_seed(one)
        rows.append(draw(tuple(shape), generator=generator, device=device, dtype=dtype))
    return torch.stack(rows) if rows else torch.empty((0, *shape), device=device, dtype=dtype)
