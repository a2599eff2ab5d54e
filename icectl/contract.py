"""The plugin contract: what a third party implements to give icectl a new model.

A distribution announces a `Plugin` under the entry-point group ``icectl.plugins``.
The descriptor is read at every ``--help`` and at every Tab, so this module, and
whatever module holds the descriptor and its options, imports neither numpy nor torch;
the model itself is named by a dotted string and imported when a stage runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

T = TypeVar("T")

API_VERSION = 1
"""Raised whenever the documented surface that plugins import changes incompatibly."""

ENTRY_POINT_GROUP = "icectl.plugins"

VERBS = ("fetch", "prepare", "train", "predict", "evaluate")
"""The five stages, each of which needs the ones before it."""


_SHARED = (
    "glacier glaciers scenes experiment workspace run seed device gpus gpu processes precision cluster force "
    "logger chain dry_run json json_output quiet verbose debug from from_export from_weights weights help "
    "help_all"
)
RESERVED = frozenset(_SHARED.split())
"""Names of options that belong to icectl; no plugin may have one."""


def _auto_is_zero(value: Any) -> Any:
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        if value != "auto":
            raise ValueError("give a number, or auto")
        return 0
    return value


BatchSize = Annotated[
    int,
    BeforeValidator(_auto_is_zero),
    Field(ge=0, le=65_536, description="Samples in a batch, over all processes; auto: as many as fit."),
]
"""Type of an option ``batch_size``: a number, or ``auto``, kept as 0 (`icectl.training.fitting_batch`)."""

Draws = Annotated[int, Field(ge=0, le=100_000, description="Draws of the bootstrap for intervals; 0: none.")]
"""Type of an option ``bootstrap``."""


def _horizontal_crs(text: str) -> str:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(text)
    except CRSError:
        raise ValueError(f"'{text}' is no CRS that PROJ knows; EPSG:32632 is one") from None
    if not (crs.is_projected or crs.is_geographic):
        raise ValueError(f"'{text}' ({crs.name}) places nothing on the ground; EPSG:32632 does")
    return text


CrsName = Annotated[str, AfterValidator(_horizontal_crs)]
"""Type of an option that names a CRS: one that does not exist is refused when it is typed."""


class Checked(BaseModel):
    """Values from outside, as they are written: pydantic takes true for 1, and an empty path for a folder.

    >>> class Size(Checked):
    ...     pixels: int | None = None
    >>> Size.model_validate({"pixels": True}).pixels  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ...
    ValidationError: a number is wanted, not true
    """

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)  # cut short, a link is none

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        numbers = bool not in kinds and (int in kinds or float in kinds)
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, bool) and numbers:
                raise ValueError(f"a number is wanted, not {str(item).lower()}")
            if isinstance(item, str | Path) and Path in kinds and (item == "" or "\0" in str(item)):
                raise ValueError("the path of a file is wanted")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _of_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("a number of less than 64 bits is wanted")
        return value


def _kinds(annotation: Any) -> list[Any]:
    """Return the types that an annotation is made of: int and None of ``int | None``."""
    parts = get_args(annotation)
    return [kind for part in parts for kind in _kinds(part)] if parts else [annotation]


class Options(Checked):
    """Typed options of one stage; every field becomes a command-line flag.

    Fields carry a ``description`` and their bounds (``Field(ge=…, le=…)``). Scalars,
    enumerations (``Literal``), paths and lists of those become flags; nested models are
    read from experiment files only. A field named ``preset`` picks a row of `presets`,
    whose values stand in for the defaults of other fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, validate_default=True)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    of_the_images: ClassVar[frozenset[str]] = frozenset()
    """Options that describe the images of a run: a saved run does not hand them on to other images."""

    def needs(self) -> tuple[str, ...] | None:
        """Return the earlier stages that a stage with these options reads; None: all of them.

        A `predict` that is given its own input file may need nothing but ``("train",)``.
        """
        return None

    def seeded(self) -> bool:
        """Tell whether the seed decides what a stage with these options makes.

        A stage that says False is handed ``run.seed == 0``, and its identity holds no seed.
        """
        return True

    def members(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return the other models whose trainings a training with these options reads: names and options.

        They are trained before it, each in a run of its own; their folders are ``run.inputs["member-0"]``
        and so on, and whatever decides their weights decides what this training makes.
        """
        return ()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "preset" not in cls.model_fields:
            return values
        name = values.get("preset", cls.model_fields["preset"].default)
        return {**(cls.presets.get(name, {}) if isinstance(name, str) else {}), **values}


def by_verb(*options: type[Options]) -> Mapping[str, type[Options]]:
    """Return five options classes, given in the order of `VERBS`, as `Plugin.stages` wants them.

    >>> sorted(by_verb(Options, Options, Options, Options, Options))
    ['evaluate', 'fetch', 'predict', 'prepare', 'train']
    """
    return dict(zip(VERBS, options, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A light description of one model: names, typed options, and where its code is.

    Parameters
    ----------
    name
        What users type, e.g. ``"deeplab-xception"``.
    summary
        One line for listings.
    task
        ``"snow"``, ``"flow"``, ``"front"``, ``"bed"``, or a task of the plugin's own.
    model
        ``"package.module:Class"``; the class implements `icectl.model.Model` and takes no arguments.
    stages
        The options class of each verb in `VERBS`.
    inputs
        Not read: what a model needs follows from its task and options. Older descriptors may give it.
    default_glacier
        The glacier used when none is named.
    api, schema, upgrades
        The contract version this plugin was written for; the version of its options;
        and for each older schema ``n`` a ``"module:function"`` that turns the saved
        options ``{verb: {…}}`` of schema ``n`` into those of ``n + 1``.
    multi_device
        Whether ``train`` may run in several processes; if not, more than one is refused.
    per_process_batch_statistics
        True if batch statistics are kept per process, so that one process is *not*
        equal to two; the conformance suite then says so instead of passing.
    estimate
        ``"module:function"``, a light function ``(run: Run) -> Estimate`` that ``--dry-run`` asks
        what one stage would read, write, download and hold in memory.
    paper
        The publication that the model comes from.
    weights
        Folders of trained weights that the distribution ships: ``"package:folder/in/it"`` each, as
        ``icectl export`` writes them.
    """

    name: str
    summary: str
    task: str
    model: str
    stages: Mapping[str, type[Options]]
    aliases: tuple[str, ...] = ()
    inputs: InitVar[tuple[str, ...]] = ()
    default_glacier: str = "demo"
    api: int = API_VERSION
    schema: int = 1
    upgrades: Mapping[int, str] = field(default_factory=dict)
    multi_device: bool = True
    per_process_batch_statistics: bool = False
    estimate: str = ""
    paper: str = ""
    weights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a stage would cost, in bytes; None where it cannot be known beforehand."""

    reads: int | None = None
    writes: int | None = None
    downloads: int | None = None
    memory: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxNetwork:
    """A trained network as ``icectl export --onnx`` writes it for other runtimes.

    Parameters
    ----------
    module
        A ``torch.nn.Module``, called with the inputs in their order; it returns a tensor or a tuple of them.
        Weight parametrisations (spectral norm) are folded into the weights before it is written.
    inputs
        Example tensors by name, of values that the network may meet.
    outputs
        The names of what it returns.
    axes
        For each input the axes whose length may differ from the example's, with a name:
        ``{"x": {0: "batch"}}``. Of an axis of one name all inputs have the same length. The result is
        checked at the example's length and at twice that.
    name
        The file is ``NAME.onnx``.
    note
        What goes in and comes out, with units; it stands on the model card.
    """

    module: Any
    inputs: Mapping[str, Any]
    outputs: tuple[str, ...] = ("output",)
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    name: str = "model"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric: its label, unit, and which direction is better (or none)."""

    key: str
    label: str
    unit: str = ""
    better: str = "lower"  # "lower" | "higher" | "" where neither is


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a result table.

    `kind` is ``"model"``, ``"baseline"``, ``"mark"`` (an oracle: it uses the
    answer, and is no baseline) or ``"published"`` (a figure of a paper, measured on other data).
    """

    name: str
    kind: str
    values: Mapping[str, float | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled result table. `primary` names the column that decides."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    primary: str
    note: str = ""

    def bar(self) -> Row | None:
        """Return the strongest baseline in the primary column: the row to beat."""
        column = next(c for c in self.columns if c.key == self.primary)
        baselines = [(r.values.get(self.primary), r) for r in self.rows if r.kind == "baseline"]
        return strongest(baselines, column.better)


def strongest(baselines: Iterable[tuple[float | None, T]], better: str) -> T | None:
    """Return what belongs to the best of the values that there are; None where no direction is better.

    >>> strongest([(0.2, "a"), (None, "b"), (0.9, "c")], "higher")
    'c'
    """
    sign = {"lower": 1.0, "higher": -1.0}.get(better)
    known = [(value, one) for value, one in baselines if value is not None]
    if sign is None or not known:
        return None
    return min(known, key=lambda pair: sign * pair[0])[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What `evaluate` returns. The first table is the one a terminal prints.

    `details` is JSON data for the report (curves, per-scene values, the split's audit);
    `notes` are sentences printed below the table.
    """

    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
