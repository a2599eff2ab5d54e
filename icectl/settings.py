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
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from icectl.contract import VERBS, Checked, CrsName
from icectl.errors import DataError, UsageError, brief, did_you_mean
from icectl.interrupts import signals_wait

Verb = Annotated[str, Field(pattern=f"^({'|'.join(VERBS)})$")]
M = TypeVar("M", bound=BaseModel)


_NAMES = "What users type: small letters, digits, '-', '_', '.', the first a letter or a digit."


class Glacier(Checked):
    """A place: where it is, on which grid it is worked, and which model it defaults to."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80, description=_NAMES)
    title: str = Field(default="", description="The name on maps and in reports.")
    bbox: tuple[float, float, float, float] | None = Field(
        default=None,
        description="West, south, east, north in degrees (across 180°: 179, 66, -179, 67).",
    )
    crs: CrsName | None = Field(default=None, description="CRS of the products, e.g. EPSG:32643.")
    resolution: float | None = Field(
        default=None, gt=0, le=1e6, description="Pixel size of the products in metres."
    )
    outline: Path | None = Field(default=None, description="Vector file of the glacier's outline.")
    dem: Path | None = Field(default=None, description="Elevation model (GeoTIFF).")
    centre_line: Path | None = Field(default=None, description="Vector file of a flow line.")
    rgi: str | None = Field(default=None, description="Randolph Glacier Inventory id.")
    wrs2: tuple[int, int] | None = Field(default=None, description="Landsat WRS-2 path and row.")
    source: str | None = Field(default=None, description="Where scenes come from when no source is named.")
    model: str = Field(default="convlstm", description="The model used when none is named.")
    note: str = Field(default="", description="Where the numbers in this file come from.")
    options: dict[str, dict[Verb, dict[str, Any]]] = Field(
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


class Experiment(Checked):
    """A whole run by name: model, glacier, and the options of every stage."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str = Field(description="What users type after --experiment.")
    title: str = Field(default="", description="One line for listings.")
    model: str = Field(description="Model name or alias.")
    glacier: str | None = Field(default=None, min_length=1, description="Glacier name.")
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
    """Read one TOML file; an error names the file, and the line where one is wrong.

    DataError: it is no TOML, holds a number of more than 64 bits, which TOML does not know, or nests too
    deeply.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason}", "save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not valid TOML: {error}", "mend the line it names") from error
    except (RecursionError, ValueError) as error:  # Python's own limits on lists within lists, and on digits
        raise DataError(f"{path} is not valid TOML: {error}", _SHAPE) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "mend its rights") from error
    _bounded(values, str(path))
    return values


_SHAPE = "write it as the files that ship: icectl glaciers show parvati"
_DEEPEST = 16


def _bounded(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what no later stage could hold."""
    if depth > _DEEPEST:
        raise DataError(f"{where} nests tables or lists more than {_DEEPEST} deep", _SHAPE)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise DataError(f"{where} holds a number of more than 64 bits", "write a smaller one")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _bounded(item, where, depth + 1)


def validate(kind: type[M], values: Mapping[str, Any], where: str) -> M:
    """Build a settings object; the first error names `where`, the key and what is allowed.

    Pydantic loses a signal that comes while it builds a pattern, which then matches nothing: Ctrl-C ended in
    "crs = 'EPSG:32643' is not allowed".
    """
    try:
        with signals_wait():
            return kind.model_validate(dict(values))
    except ValidationError as error:
        raise worded(error, where, kind) from error


_WANTED = {
    "greater_than_equal": "give {ge} or more",
    "greater_than": "give more than {gt}",
    "less_than_equal": "give {le} or less",
    "less_than": "give less than {lt}",
    "literal_error": "give {expected}",
    "string_too_short": "give {min_length} characters or more",
    "string_too_long": "give {max_length} characters or fewer",
    "too_short": "give {min_length} values or more",
    "too_long": "give {max_length} values or fewer",
    "string_pattern_mismatch": "it has another form",
    "missing": "it has too few values",
    "int": "give a whole number",
    "float": "give a number",
    "finite": "give a finite number",
    "bool": "give true or false",
    "date": "give a date, e.g. 2019-07-31",
    "path": "write a path in quotes",
    "string": "write a text in quotes",
    "dict": "write a table",
    "tuple": "write a list",
    "list": "write a list",
}
"""What to do about kinds of errors, which pydantic words for programmers; by kind, or its first word."""


def wanted(error: Mapping[str, Any]) -> str:
    """Return in words what to give in place of a value that one of pydantic's errors is of.

    >>> wanted({"type": "less_than_equal", "ctx": {"le": 9}, "msg": ""})
    'give 9 or less'
    """
    sort, told = error["type"], error.get("ctx", {})
    words = _WANTED.get(sort) or _WANTED.get(sort.partition("_")[0]) or str(error["msg"])
    if words == error["msg"]:
        return words.removeprefix("Value error, ")
    return words.format_map(
        {k: f"{v:.10g}" if isinstance(v, int | float) else str(v).replace("'", "") for k, v in told.items()}
    )


def worded(error: ValidationError, where: str, kind: type[BaseModel]) -> UsageError:
    """Turn the first of pydantic's errors on a `kind` into one sentence and a hint."""
    first = error.errors(include_url=False)[0]
    parts = [str(part) for part in first["loc"] if part != "[key]"]
    key, said = ".".join(parts), wanted(first)
    if not parts:
        return UsageError(f"{where}: {said}", "change one of the values, or leave it out")
    if first["type"] == "extra_forbidden":
        return UsageError(f"{where}: unknown key '{key}'", did_you_mean(key, kind.model_fields))
    if first["loc"][-1] == "[key]":
        return UsageError(f"{where}: unknown key '{key}'", did_you_mean(parts[-1], VERBS))
    if first["type"] == "missing" and len(parts) == 1:
        return UsageError(f"{where}: '{key}' is missing", f"add a line '{key} = …'")
    field = kind.model_fields.get(parts[0])
    described = field and field.description and first["type"] != "value_error"
    hint = f"{said} ({parts[0]}: {field.description})" if field and described else said
    key = parts[0] if first["type"] == "missing" else key
    return UsageError(f"{where}: {key} = {brief(first['input'])} is not allowed", hint)


def load_glacier(name: str) -> Glacier:
    """Return the glacier called `name`; relative paths in its file start at the file's folder."""
    path = find("glaciers", name)
    values = {"name": path.stem, **read_toml(path)}
    for key in ("outline", "dem", "centre_line"):
        if isinstance(values.get(key), str) and values[key]:
            values[key] = path.parent / Path(values[key]).expanduser()
    return validate(Glacier, values, str(path))


def load_experiment(name: str) -> Experiment:
    """Return the experiment called `name`, or the one in the TOML file `name`."""
    path = Path(name) if name.endswith(".toml") else find("experiments", name)
    if not path.is_file():
        raise UsageError(f"{name} does not exist", "check the path")
    return validate(Experiment, {"name": path.stem, **read_toml(path)}, str(path))


def find(kind: str, name: str) -> Path:
    """Return the settings file of `name`, or fail with the nearest known name."""
    known = available(kind)
    if name not in known:
        singular = kind.removesuffix("s")
        raise UsageError(f"unknown {singular} '{name}'", did_you_mean(name, known))
    return known[name]
