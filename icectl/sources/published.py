"""Published data by name, so that a path can be written ``rgi:11``: outlines and thickness of glaciers.

======================  =====================================================================================
``rgi:11``, ``rgi6:11``  RGI 6.0 outlines of a first-order region (doi:10.7265/4m1f-gd79), from GLIMS
``rgi7:11``             RGI 7.0 glaciers of a region (doi:10.5067/f6jmovy5navz), from NSIDC: needs a login
``glathida:3.1``        GlaThiDa 3.1.0 (doi:10.5904/wgms-glathida-2020-10), measured thickness
``farinotti:11``        Consensus thickness of a region (Farinotti et al. 2019, doi:10.3929/ethz-b-000315707)
======================  =====================================================================================

None of the servers publishes checksums: that of the first download is recorded and holds from then on.
``$ICECTL_MIRROR`` replaces the servers by one folder of an own one, with files of the same names.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from icectl.errors import DataError, UsageError, did_you_mean
from icectl.sources.archive import cache, retrieve, unpacked
from icectl.workspace import PUBLISHED

RGI6 = (
    "Alaska", "WesternCanadaUS", "ArcticCanadaNorth", "ArcticCanadaSouth", "GreenlandPeriphery", "Iceland",
    "Svalbard", "Scandinavia", "RussianArctic", "NorthAsia", "CentralEurope", "CaucasusMiddleEast",
    "CentralAsia", "SouthAsiaWest", "SouthAsiaEast", "LowLatitudes", "SouthernAndes", "NewZealand",
    "AntarcticSubantarctic",
)  # fmt: skip
RGI7 = (
    "alaska", "western_canada_usa", "arctic_canada_north", "arctic_canada_south", "greenland_periphery",
    "iceland", "svalbard_jan_mayen", "scandinavia", "russian_arctic", "north_asia", "central_europe",
    "caucasus_middle_east", "central_asia", "south_asia_west", "south_asia_east", "low_latitudes",
    "southern_andes", "new_zealand", "subantarctic_antarctic_islands",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Archive:
    """Where a named archive lies, and which file (or folder, if it ends in a slash) of it is meant."""

    server: str
    file: str
    wanted: str
    hint: str = ""

    @property
    def url(self) -> str:
        """The address, at ``$ICECTL_MIRROR`` if there is one."""
        return f"{(os.environ.get('ICECTL_MIRROR') or self.server).rstrip('/')}/{self.file}"


_RGI6 = {
    f"{part:02d}": Archive("https://www.glims.org/RGI/rgi60_files", f"{part:02d}_rgi60_{name}.zip", "*.shp")
    for part, name in enumerate(RGI6, 1)
}
_NSIDC = "https://daacdata.apps.nsidc.org/pub/DATASETS/nsidc0770_rgi_v7/regional_files/RGI2000-v7.0-G"
_LOGIN = "NSIDC asks for an Earthdata login: give one for urs.earthdata.nasa.gov in ~/.netrc"
_ETH = "https://www.research-collection.ethz.ch/bitstream/handle/20.500.11850/315707"
KINDS: dict[str, dict[str, Archive]] = {
    "rgi": _RGI6,
    "rgi6": _RGI6,
    "rgi7": {
        f"{part:02d}": Archive(_NSIDC, f"RGI2000-v7.0-G-{part:02d}_{name}.zip", "*.shp", _LOGIN)
        for part, name in enumerate(RGI7, 1)
    },
    "farinotti": {part: Archive(_ETH, f"composite_thickness_RGI60-{part}.zip", "") for part in _RGI6},
    "glathida": {"3.1.0": Archive("https://www.gtn-g.ch/database", "glathida-3.1.0.zip", "TTT.csv")},
}
"""The archives of each kind, by their parts."""


def archive_of(name: str) -> Archive:
    """Return the archive that a name such as ``rgi:11`` means.

    UsageError: there is no such data set, region or version.
    """
    match = PUBLISHED.fullmatch(name)
    kind, _, part = name.partition(":") if match else (name, "", "")
    if kind not in KINDS:
        raise UsageError(f"'{name}' is no published data set", did_you_mean(kind, KINDS))
    parts = KINDS[kind]
    found = next((p for p in parts if part in (p, p.removeprefix("0"), p.removesuffix(".0"))), None)
    if found is None:
        raise UsageError(f"'{name}': {kind} has no {part or 'such part'}", f"it has {', '.join(parts)}")
    return parts[found]


def bring(names: Iterable[str], say: Callable[[str], None] | None = None) -> None:
    """Fetch published data by name into the cache; all names are checked before the first download."""
    for name in (wanted := list(names)):
        archive_of(name)
    for name in wanted:
        resolve(Path(name), say)


def resolve(path: Path, say: Callable[[str], None] | None = None) -> Path:
    """Return `path`, or the file on this machine that a name such as ``rgi:11`` means, fetched if need be.

    UsageError: the name is not known. WorkError: the download failed. DataError: the archive is damaged,
    hostile, or does not hold what is expected.
    """
    if path.exists() or not PUBLISHED.fullmatch(str(path)):
        return path
    archive = archive_of(str(path))
    folder = cache() / "published"
    if say is not None and not (folder / archive.file).is_file():
        say(f"fetching {archive.url}")
    try:
        found = unpacked(retrieve(archive.url, folder))
    except DataError as error:
        raise DataError(error.message, archive.hint or error.hint) from error
    if not archive.wanted:
        return found
    files = sorted(found.rglob(archive.wanted))
    if not files:
        raise DataError(f"{archive.file} holds no {archive.wanted}", "its layout may have changed")
    return files[0]
