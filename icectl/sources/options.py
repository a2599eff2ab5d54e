"""Options of a fetch from a STAC service. Light: read at every ``--help``."""

import re
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from icectl.contract import CrsName, Options
from icectl.errors import UsageError
from icectl.run import Run
from icectl.settings import Glacier

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".nc", ".nc4", ".cdf", ".zarr")
"""Endings of files that hold scenes as a folder does."""


class SceneQuery(Options):
    """Which scenes to fetch, and from where. Tasks inherit it and choose their own defaults."""

    source: Literal["auto", "synthetic", "folder", "planetary-computer", "earth-search"] = Field(
        default="auto",
        description="Where scenes come from; auto takes --scenes, else the glacier's own source, else "
        "planetary-computer.",
    )
    api: str | None = Field(
        default=None, description="URL of another STAC API, e.g. a private catalogue of the same collections."
    )
    collection: str | None = Field(
        default=None,
        description="STAC collection; by default landsat-c2-l2, and sentinel-2-c1-l2a on earth-search.",
    )
    start: date | None = Field(default=None, description="First day of the series (YYYY-MM-DD).")
    end: date | None = Field(default=None, description="The day after the last of the series (YYYY-MM-DD).")
    season: str | None = Field(
        default=None, description="Months of the year to keep, e.g. 6-9, 11-2 or 3,4,10; all by default."
    )
    platform: tuple[str, ...] = Field(
        default=(), description="Satellites to take, e.g. landsat-8. May be given several times."
    )
    max_cloud: float = Field(
        default=20.0, ge=0, le=100, description="Largest share of cloud inside the area in percent."
    )
    max_missing: float = Field(
        default=50.0, ge=0, le=100, description="Largest share of missing pixels inside the area in percent."
    )
    same_track: bool = Field(
        default=False, description="Take only scenes of the glacier's own WRS-2 path and row."
    )
    limit: int | None = Field(
        default=None, ge=1, description="Most scenes to fetch, spread evenly over the dates."
    )

    @field_validator("season")
    @classmethod
    def _check_season(cls, value: str | None) -> str | None:
        if value is not None:
            months_of(value)
        return value

    def seeded(self) -> bool:
        """Tell whether the seed decides what is fetched: it does for a synthetic glacier alone."""
        return self.source == "synthetic"

    @field_validator("api")
    @classmethod
    def _check_api(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@][^\s?#@]*", value):
            raise ValueError("give an http:// or https:// address, without key or password")
        return value

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start ({self.start}) must lie before end ({self.end})")
        return self


def between(day: date, span: Any) -> bool:
    """Tell whether a day is from ``span.start`` to before ``span.end``; None leaves an end open."""
    return (span.start is None or day >= span.start) and (span.end is None or day < span.end)


class Placed(Options):
    """Where images without georeference lie. Tasks that take such inherit it."""

    of_the_images: ClassVar[frozenset[str]] = frozenset({"resolution", "crs", "bounds"})

    resolution: float | None = Field(
        default=None, gt=0, description="Metres per pixel of images without a CRS; else units are pixels."
    )
    crs: CrsName | None = Field(
        default=None,
        description="CRS of images without one, e.g. EPSG:32718; needs --bounds or a world file.",
    )
    bounds: tuple[float, float, float, float] | None = Field(
        default=None, description="Left, bottom, right and top of such images in that CRS."
    )


def months_of(season: str) -> frozenset[int]:
    """Return the months that a season names; a range may run over the new year.

    >>> sorted(months_of("11-2"))
    [1, 2, 11, 12]
    >>> sorted(months_of("3,4,10"))
    [3, 4, 10]
    """
    months: set[int] = set()
    for part in season.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})\s*(?:-\s*(\d{1,2})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not (1 <= first <= 12 and 1 <= last <= 12):
            raise ValueError("give months from 1 to 12, e.g. 6-9, 11-2 or 3,4,10")
        months |= {(first - 1 + step) % 12 + 1 for step in range((last - first) % 12 + 1)}
    return frozenset(months)


def source_of(run: Run, query: Any) -> str:
    """Return where a fetch takes its data from: ``--scenes``, else the source named, else the glacier's own.

    `query`: a `SceneQuery`, or options with a field `source` of their own, which only the task may know.

    UsageError: the folder source is named, and no folder.
    """
    chosen = resolve_source(run.scenes, query.source, run.glacier)
    if chosen == "folder" and run.scenes is None:
        raise UsageError("the folder source needs a folder", "name it with --scenes DIR")
    return chosen


def resolve_source(scenes: Path | None, chosen: str, glacier: Glacier) -> str:
    """Return the name of a source: ``"folder"`` for a user's own scenes, and never ``"auto"``."""
    if scenes is not None:
        return "folder"
    return chosen if chosen != "auto" else glacier.source or "planetary-computer"
