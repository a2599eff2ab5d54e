"""The smallest work of each of our tasks on the synthetic glacier, as option values.

A name applies to every stage that has an option of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALLEST: Mapping[str, Mapping[str, Any]] = {
    "snow": {
        "source": "synthetic",
        "size": 64,
        "years": 5,
        "align": "none",
        "patch": 16,
        "stride": 8,
        "batch_size": 4,
        "epochs": 50,
        "validate_every": 2,
        "bootstrap": 10,
        "moments": "auto",
        "member": ("convlstm", "unet"),
        "draws": 1,
    },
    "flow": {
        "source": "synthetic",
        "size": 192,
        "frames": 6,
        "bands": ("red", "nir08"),
        "chip": 16,
        "chips": 80,
        "past": 2,
        "test_side": "south",
        "batch_size": 2,
        "epochs": 50,
        "validate_every": 2,
        "tile": 48,
    },
    "front": {
        "source": "synthetic",
        "size": 96,
        "years": 2,
        "worlds": 2,
        "crop": (32, 32),
        "batch_size": 4,
        "validate_every": 2,
        "turns": 2,
    },
    "bed": {"source": "synthetic", "batch_size": 2, "validate_every": 2, "tile": 64},
}

UPDATES = "updates"
"""The training option that bounds the number of updates; the suite trains for two, three and ten."""
