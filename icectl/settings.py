"""Settings from TOML files: glaciers, experiments and the papers' published tables.

Files are looked for in the working folder (``./configs/<kind>``), then in the user's folder
(``$XDG_CONFIG_HOME/icectl/<kind>``, by default ``~/.config/icectl``), then among those shipped
with icectl; the first of a name wins. Everything is validated, and an unknown key names the
file, the key and the nearest known one.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from icectl.contract import VERBS
from icectl.errors import DataError, UsageError, did_you_mean

StageOptions = dict[str, dict[str, Any]]
M = TypeVar("M", bound=BaseModel)


class Glacier(BaseModel):
    """A place: where it is, on which grid it is worked, and which model it defaults to."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80, description="What users type.")
    title: str = Field(default="", description="The name on maps and in reports.")
    bbox: tuple[float, float, float, float] | None = Field(
        default=None,
        description="West, south, east, north in degrees (across 180°: 179, 66, -179, 67).",
    )
    crs: str | None = Field(
        default=None,
        pattern=r"^((EPSG|ESRI):\d{4,6}|[A-Z]+\[.*\]|\+proj=.*)$",
        description="CRS of the products, e.g. EPSG:32643.",
    )
    resolution: float | None = Field(default=None, gt=0, description="Pixel size of the products in metres.")
    outline: Path | None = Field(default=None, description="Vector file of the glacier's outline.")
    dem: Path | None = Field(default=None, description="Elevation model (GeoTIFF).")
    centre_line: Path | None = Field(default=None, description="Vector file of a flow line.")
    rgi: str | None = Field(default=None, description="Randolph Glacier Inventory id.")
    wrs2: tuple[int, int] | None = Field(default=None, description="Landsat WRS-2 path and row.")
    source: str | None = Field(default=None, description="Where scenes come from when no source is named.")
    model: str = Field(default="convlstm", description="The model used when none is named.")
    note: str = Field(default="", description="Where the numbers in this file come from.")
    options: dict[str, StageOptions] = Field(
        default_factory=dict, description="Options by task and verb, e.g. [options.snow.prepare]."
    )

    @field_validator("bbox")
    @classmethod
    def _check_bbox(cls, bbox: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """Check a box; one across 180° (179 … −179) gets an eastern edge beyond 180."""
        if bbox is None:
            return None
        west, south, east, north = bbox
        if west > east and west - east > 180:
            east += 360
        if west >= 180:
            west, east = west - 360, east - 360
        if not (-180 <= west < east < west + 360.1 and east < 540 and -90 <= south < north <= 90):
            raise ValueError(
                "bbox must be west < east and south < north in degrees; across 180°, as in 179 66 -179 67"
            )
        return (west, south, east, north)


class Experiment(BaseModel):
    """A whole run by name: model, glacier, and the options of every stage."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str = Field(description="What users type after --experiment.")
    title: str = Field(default="", description="One line for listings.")
    model: str = Field(description="Model name or alias.")
    glacier: str | None = Field(default=None, description="Glacier name.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of every random draw.")
    note: str = Field(default="", description="What this reproduces, and where it departs.")
    fetch: dict[str, Any] = Field(default_factory=dict)
    prepare: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    predict: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)

    def stage(self, verb: str) -> dict[str, Any]:
        """Return the options this experiment sets for `verb`."""
        if verb not in VERBS:
            raise KeyError(verb)
        return dict(getattr(self, verb))


def folders(kind: str) -> Iterator[Path]:
    """Yield the folders that may hold settings of `kind`, strongest first."""
    yield Path.cwd() / "configs" / kind
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    yield home / "icectl" / kind
    yield shipped() / kind


def user_folder(kind: str) -> Path:
    """Return the user's own folder for settings of `kind`."""
    return list(folders(kind))[1]


def shipped() -> Path:
    """Return the folder of shipped settings: inside a wheel, beside the package in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def available(kind: str) -> dict[str, Path]:
    """Return the file of every known name of `kind`; the strongest folder wins."""
    found: dict[str, Path] = {}
    for folder in folders(kind):
        for file in sorted(folder.glob("*.toml")):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def read_toml(path: Path) -> dict[str, Any]:
    """Read one TOML file; a syntax error names the file and the line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not valid TOML: {error}", "mend the line it names") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def validate(kind: type[M], values: Mapping[str, Any], where: str) -> M:
    """Build a settings object; the first error names `where`, the key and what is allowed."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise worded(error, where, list(kind.model_fields)) from error


def worded(error: ValidationError, where: str, known: list[str]) -> UsageError:
    """Turn the first of pydantic's errors into one sentence and a hint."""
    first = error.errors(include_url=False)[0]
    key, reason = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    if not key:
        return UsageError(f"{where}: {reason}", "change one of the values, or leave it out")
    if first["type"] == "extra_forbidden":
        return UsageError(f"{where}: unknown key '{key}'", did_you_mean(key, known))
    if first["type"] == "missing":
        return UsageError(f"{where}: '{key}' is missing", f"add a line '{key} = …'")
    return UsageError(f"{where}: {key} = {first['input']!r} is not allowed", reason)


def load_glacier(name: str) -> Glacier:
    """Return the glacier called `name`; relative paths in its file start at the file's folder."""
    path = find("glaciers", name)
    values = {"name": path.stem, **read_toml(path)}
    for key in ("outline", "dem", "centre_line"):
        if isinstance(values.get(key), str):
            values[key] = path.parent / Path(values[key]).expanduser()
    return validate(Glacier, values, str(path))


def load_experiment(name: str) -> Experiment:
    """Return the experiment called `name`, or the one in the TOML file `name`."""
    path = Path(name) if name.endswith(".toml") and Path(name).is_file() else find("experiments", name)
    return validate(Experiment, {"name": path.stem, **read_toml(path)}, str(path))


def find(kind: str, name: str) -> Path:
    """Return the settings file of `name`, or fail with the nearest known name."""
    known = available(kind)
    if name not in known:
        singular = kind.removesuffix("s")
        raise UsageError(f"unknown {singular} '{name}'", did_you_mean(name, known))
    return known[name]
