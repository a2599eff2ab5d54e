"""Panels: what a task asks the report to show, as data.

A task's ``evaluate`` builds panels and puts ``details["panels"] = pack(panels, folder)`` into its
`Metrics`, where ``folder`` is the run folder; the report draws them later from files alone. Nothing here
imports numpy, so a task may import it anywhere.

A panel names rasters by `Layer`; the report reads, thins and colours them. Colour scales (`Colours`)
are the same for everybody and safe for the colour-blind; a task says what a value means, not how it looks.

Besides ``"panels"``, the report knows these keys of ``details``, all optional, all plain JSON:

``"data"``
    Mapping of label to value, shown as a list: period, number of frames, cadence, share of gaps …
``"audit"``
    Mapping of label to value: what the split's audit found (shared pixels, guards, sizes).
``"intervals"``
    ``{table title: {row name: {column key: [low, high]}}}``: bootstrap intervals, shown in the table.
``"gain"``
    ``[low, high]``: the interval of by how many per cent the model is better than the strongest baseline
    in the first table's primary column, shown at the head of the page.

Examples
--------
>>> from icectl.report.panels import Frame, Layer, TimeMaps, pack
>>> frames = [Frame(label="2021 Q1", truth=Layer(file="t.tif"), prediction=Layer(file="p.tif", band=1))]
>>> packed = pack([TimeMaps(title="Snow", frames=frames, colours="snow", low=0, high=1)])
>>> packed[0]["kind"], packed[0]["frames"][0]["prediction"]["file"]
('time-maps', 'p.tif')
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from icectl.errors import DataError

Colours = Literal["snow", "sequential", "diverging", "speed", "terrain", "thickness", "quality", "grey"]
"""``snow`` 0–1 index, dark ground to white snow; ``sequential`` any amount; ``diverging`` departures
around zero; ``speed`` ice velocity; ``terrain`` elevations (hill-shaded); ``thickness`` ice thickness;
``quality`` correlations and scores, 0–1; ``grey`` pictures."""

Role = Literal["truth", "prediction", "baseline", "other"]
"""Gives a line the same colour and dash in every figure."""


def _finite(value: Any) -> Any:
    """Turn NaN and infinities into None: JSON has neither."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A value, or None where there is none (NaN is stored as None)."""


class _Part(BaseModel):
    """Base of all panels: strict about names; arrays are welcome where tuples are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _from_arrays(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}


class _Titled(_Part):
    """What every panel has."""

    title: str
    note: str = ""


class _Coloured(_Titled):
    """A panel of rasters; `low` and `high` of its colours are the 2nd and 98th percentile by default."""

    unit: str = ""
    colours: Colours = "sequential"
    low: Number = None
    high: Number = None


class Layer(_Part):
    """One 2-D raster: a band of a GeoTIFF (or PNG, JPEG), or a slice of a NetCDF or Zarr variable.

    Parameters
    ----------
    file
        Path, absolute or relative to the run folder.
    band
        1-based band of a GeoTIFF, PNG or JPEG.
    variable, index
        For ``.nc`` and ``.zarr``: the variable, and the position along its leading axes
        (``(3,)`` of a ``(time, y, x)`` variable is its fourth frame).
    metres, cell
        For a file without a CRS: the ground length of a pixel in metres, or how many pixels of an image
        one is wide.
    """

    file: str
    band: int = Field(default=1, ge=1)
    variable: str = ""
    index: tuple[int, ...] = ()
    metres: float | None = None
    cell: float = 1.0


class Lines(_Part):
    """Lines or outlines drawn over a raster.

    Parameters
    ----------
    label, role
        Name in the legend, and what it is; contours are thin.
    file, layer
        A vector file (GeoPackage, shapefile, GeoJSON) and its layer; reprojected to the raster.
    pixels
        Or polylines in pixels of the raster: a list of lists of ``(column, row)``.
    date
        ISO date. Dated lines of a `Map` are coloured from the first to the last, and a bar says so.
    """

    label: str
    role: Role | Literal["contour"] = "other"
    file: str = ""
    layer: str = ""
    pixels: tuple[tuple[tuple[float, float], ...], ...] = ()
    date: str = ""


class Points(_Part):
    """Measured points over a raster: columns and rows in pixels, and a value each (or none)."""

    label: str
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    values: tuple[Number, ...] = ()


Arrow = tuple[float, float, float, float]
"""``(column, row, right, down)`` in pixels: where an arrow stands, and how far things move."""


class Frame(_Part):
    """One moment of `TimeMaps`.

    Any of truth and prediction may be missing; the difference (prediction − truth) is computed where
    both are there and `difference` is not given.

    Parameters
    ----------
    label
        What the slider shows, e.g. ``"2021-04-01 · lead 2"``.
    note
        A line below the maps, e.g. that 12 % of the pixels were interpolated.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # older records have arrows of the masks' motion

    label: str
    truth: Layer | None = None
    prediction: Layer | None = None
    difference: Layer | None = None
    note: str = ""


class TimeMaps(_Coloured):
    """Truth, prediction and difference side by side, with a slider over time (task ``snow``).

    Parameters
    ----------
    difference_limit
        The difference is coloured from minus to plus this; by default as large as needed.
    """

    kind: Literal["time-maps"] = "time-maps"
    frames: tuple[Frame, ...]
    difference_limit: Number = None


class Map(_Coloured):
    """One raster with scale bar, north arrow, CRS and colour bar, and what lies over it.

    Parameters
    ----------
    layer
        What is coloured.
    underlay
        A raster of the same grid that shows through where `layer` is missing (a hill shade of a DEM,
        or an image).
    lines, points
        Outlines, centre lines, measured points (coloured by the same scale if they carry values).
    arrows
        Flow or velocity, right and down, in pixels or in `arrow_unit` where that is given.
    """

    kind: Literal["map"] = "map"
    layer: Layer
    label: str = ""
    underlay: Layer | None = None
    lines: tuple[Lines, ...] = ()
    points: tuple[Points, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    arrow_unit: str = ""


class Picture(_Part):
    """One moment of `ImageLines`: a picture and the lines over it."""

    label: str
    image: Layer
    lines: tuple[Lines, ...] = ()
    note: str = ""


class ImageLines(_Titled):
    """Pictures with predicted and true lines over them, with a slider if there are several (``front``)."""

    kind: Literal["image-lines"] = "image-lines"
    frames: tuple[Picture, ...]


class Series(_Part):
    """One line of a `Curve`. `low` and `high` are the bounds of a band around it; empty is none.

    `x` holds numbers, or ISO dates where the curve's ``dates`` is True. `points` draws markers
    without a line between them.
    """

    label: str
    x: tuple[float | str, ...]
    y: tuple[Number, ...]
    low: tuple[Number, ...] = ()
    high: tuple[Number, ...] = ()
    role: Role = "other"
    points: bool = False


class Curve(_Titled):
    """Values over time, lead time, epochs, elevation …"""

    kind: Literal["curve"] = "curve"
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    dates: bool = False
    log_y: bool = False


class CrossSection(_Titled):
    """Surface and bed along a line, with measured points (``bed``).

    Parameters
    ----------
    distance
        Metres along the line.
    surface, bed
        Elevations in metres at those distances; None where unknown.
    truth
        The true bed, where it is known (synthetic or measured grids).
    measured_distance, measured_bed, measured_error
        Points measured near the line: distance, elevation of the bed, uncertainty; all in metres.
    """

    kind: Literal["cross-section"] = "cross-section"
    distance: tuple[float, ...]
    surface: tuple[Number, ...]
    bed: tuple[Number, ...]
    truth: tuple[Number, ...] = ()
    measured_distance: tuple[float, ...] = ()
    measured_bed: tuple[float, ...] = ()
    measured_error: tuple[float, ...] = ()


class SampleRow(_Part):
    """One row of pictures: its name, its pictures in the order of the columns, and a score.

    `low` and `high` give the row a colour scale of its own; without them it has that of the panel.
    """

    label: str
    images: tuple[Layer | None, ...]
    score: str = ""
    low: Number = None
    high: Number = None


class Samples(_Coloured):
    """A table of small pictures: truth above, sampled futures below, time to the right (``flow``)."""

    kind: Literal["samples"] = "samples"
    columns: tuple[str, ...]
    rows: tuple[SampleRow, ...]
    colours: Colours = "grey"


class Scatter(_Titled):
    """Measured against predicted, with the 1:1 line (thinned by the report if there are very many)."""

    kind: Literal["scatter"] = "scatter"
    x: tuple[Number, ...]
    y: tuple[Number, ...]
    x_label: str = "measured"
    y_label: str = "predicted"


class Bars(_Titled):
    """Bars side by side: one group per label, one bar per series (errors by region, by distance …)."""

    kind: Literal["bars"] = "bars"
    labels: tuple[str, ...]
    series: Mapping[str, tuple[Number, ...]]
    y_label: str = ""


Panel = TimeMaps | Map | ImageLines | Curve | CrossSection | Samples | Scatter | Bars
_ONE: TypeAdapter[Panel] = TypeAdapter(Annotated[Panel, Field(discriminator="kind")])


def pack(
    panels: Iterable[Panel], folder: Path | None = None, home: Path | None = None
) -> list[dict[str, Any]]:
    """Return panels as plain JSON data for ``Metrics.details["panels"]``.

    Parameters
    ----------
    folder
        Where the page's files lie. They get paths relative to it, so that a workspace can be moved.
    home
        Where `folder` will lie in the end; files elsewhere get paths relative to that.
    """
    packed = [_ONE.dump_python(panel, mode="json", exclude_defaults=False) for panel in panels]
    return packed if folder is None else [_relative(p, folder.absolute(), home or folder) for p in packed]


def moved(packed: Sequence[Mapping[str, Any]], folder: Path, home: Path) -> list[dict[str, Any]]:
    """Return packed panels whose files are named as from `home`, where `folder` will lie in the end."""
    return [_relative(panel, folder.absolute(), home) for panel in packed]


def _relative(value: Any, folder: Path, home: Path) -> Any:
    """Return `value` with every ``"file"`` in it relative to `folder`, or to `home` if it lies outside."""
    if isinstance(value, Mapping):
        found = {k: _relative(v, folder, home) for k, v in value.items()}
        if isinstance(found.get("file"), str) and found["file"]:
            path = Path(os.path.normpath(folder / found["file"]))
            found["file"] = os.path.relpath(path, folder if path.is_relative_to(folder) else home.absolute())
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_relative(v, folder, home) for v in value]
    return value


def unpack(data: Mapping[str, Any], where: str = "the run's panels") -> Panel:
    """Return one panel from its JSON data.

    Raises
    ------
    DataError
        If it is no panel; the sentence names `where` and the first thing that is wrong.
    """
    try:
        return _ONE.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(the whole panel)"
        raise DataError(f"{where}: {key} cannot be shown: {first['msg']}") from error
