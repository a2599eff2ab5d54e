"""From a glacier of known thickness to the pixels that step (b) learns from."""

from __future__ import annotations

import numpy as np

from icectl.tasks.bed.readers.outlines import region_of
from icectl.tasks.bed.readers.thickness_samples import Known
from icectl.tasks.bed.thickness.features import glacier_features
from icectl.tasks.bed.thickness.law import Sample


def sample_of(glacier: Known, most: int | None = None, rng: np.random.Generator | None = None) -> Sample:
    """Return the pixels of a glacier whose thickness is known, or `most` of them drawn at random."""
    found = glacier_features(glacier.surface, glacier.ice, glacier.resolution)
    where = np.argwhere(glacier.ice & np.isfinite(glacier.thickness))
    if most is not None and rng is not None and len(where) > most:
        where = where[rng.permutation(len(where))[:most]]
    at = tuple(where.T)
    return Sample(
        name=glacier.name,
        kind=glacier.kind,
        region=region_of(glacier.name),
        features=found.channels[:, at[0], at[1]].T.astype(np.float64),
        thickness=glacier.thickness[at].astype(np.float64),
        thinning=found.thinning[at],
    )
