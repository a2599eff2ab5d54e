"""Splits of a series of frames into training, validation and test windows, and an audit of what they share.

A window is ``past + future`` frames of ``patch × patch`` pixels. Overlapping windows share most of their
pixels, so a random split lets a network see nearly all of its test data while it trains. Here blocks
in space, and a cut in time, keep every test pixel-moment away from training; the audit counts instead of
trusting.
"""

from icectl.splits.auditing import Audit, audit
from icectl.splits.making import TEST, TRAIN, VALIDATE, Split, WindowGrid, block_parts, guarded, make_split

__all__ = [
    "TEST", "TRAIN", "VALIDATE", "Audit", "Split", "WindowGrid", "audit", "block_parts", "guarded",
    "make_split",
]  # fmt: skip
