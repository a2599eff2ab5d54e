"""Scene: one acquisition, as every source hands it over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from icectl.errors import DataError, did_you_mean
from icectl.workspace import safe_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """How stored numbers become values: ``value = scale * number + offset``.

    `scale` and `offset` are None where nobody said; `nodata` is the number that means "nothing here";
    `number` is the band's place in a file of several, from 1.
    """

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """One acquisition: its files by asset name, all of one moment.

    Parameters
    ----------
    id
        Unique within a catalogue; letters, digits, ``. _ -`` only, so that it may name files.
    time
        Moment of acquisition (UTC), or the start of a composite's period.
    assets
        Local files by name, e.g. ``{"green": Path("…_SR_B3.TIF"), "qa_pixel": …}``.
    properties
        STAC properties (``platform``, ``eo:cloud_cover``, ``end_datetime`` …): plain JSON.
    bands
        Scale, offset and nodata of assets where they are known.
    """

    id: str
    time: datetime
    assets: Mapping[str, Path]
    properties: Mapping[str, Any] = field(default_factory=dict)
    bands: Mapping[str, Band] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            object.__setattr__(self, "time", self.time.replace(tzinfo=UTC))

    def asset(self, name: str) -> Path:
        """Return the file of asset `name`; fail with the nearest name that is there."""
        if name not in self.assets:
            raise DataError(f"scene '{self.id}' has no asset '{name}'", did_you_mean(name, self.assets))
        return self.assets[name]

    def band(self, name: str) -> Band:
        """Return what is known of the numbers in asset `name`."""
        return self.bands.get(name, Band())


def in_order(scenes: Iterable[Scene], where: str) -> list[Scene]:
    """Return the scenes by time, then id; refuse an id that occurs twice.

    `where` names the catalogue in the error's sentence.
    """
    seen: set[str] = set()
    for scene in (ordered := sorted(scenes, key=lambda s: (s.time, s.id))):
        if safe_name(scene.id, f"the id of a scene in {where}") in seen:
            raise DataError(f"{where} holds two scenes with the id '{scene.id}'", "remove or rename one")
        seen.add(scene.id)
    return ordered
