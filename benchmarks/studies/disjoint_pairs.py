"""How far velocities of two disjoint sets of pairs of frames lie apart.

    icectl prepare svg --scenes FRAMES --resolution 10 --chips 0
    python benchmarks/studies/disjoint_pairs.py PREPARED [--pairs 12] [--spacing 24]

PREPARED is the folder that ``prepare`` prints. Pairs are chosen as ``predict`` does, and dealt out by turns.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.velocity.measure import centres, choose_pairs, measure


def main() -> None:
    """Measure both sets and print quantiles of their difference over the ice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--spacing", type=int, default=24)
    given = parser.parse_args()
    data = open_dataset(given.prepared)
    options = PredictOptions(pairs=given.pairs, spacing=given.spacing)
    frames = data.data["frame"].mean("band").values.astype(np.float32)
    valid, cloud, ice = (data.array(name) for name in ("valid", "cloud", "ice"))
    steps = abs(data.grid.affine.a), abs(data.grid.affine.e)
    pairs = choose_pairs(data.days, cloud, valid, options)
    one, other = (
        measure(frames, valid, cloud, ice, data.days, steps, options, pairs=pairs[k::2]) for k in (0, 1)
    )
    cells = centres(frames.shape[1:], options)
    apart = np.hypot(one.vx - other.vx, one.vy - other.vy)[ice[cells[..., 0], cells[..., 1]]]
    known = apart[np.isfinite(apart)]
    print(f"{known.size} of {apart.size} cells on the ice have both velocities; they lie apart by")
    for share in (25, 50, 75, 90):
        print(f"  {share} % within {np.percentile(known, share):.0f} m/yr")


if __name__ == "__main__":
    main()
