"""icectl from Python: open a run, predict, and measure velocities, with xarray and GeoPandas as results.

A thin layer over the same stages as the command line: the same options, the same workspace, nothing done
twice. Heavy packages are imported when a result is read.

Examples
--------
>>> import icectl
>>> maps = icectl.predict("inpaint-gan", dem="dem.tif", outlines="outlines.gpkg")  # doctest: +SKIP
>>> maps.rasters["thickness"]  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import geopandas
    import xarray

_VECTORS = (".gpkg", ".geojson", ".shp")


@dataclass(frozen=True)
class Products:
    """Files that a stage wrote, read when they are asked for.

    Parameters
    ----------
    folder
        Where they lie.
    skipped
        Whether they were there already.
    """

    folder: Path
    skipped: bool = False

    @cached_property
    def rasters(self) -> Mapping[str, xarray.Dataset]:
        """Every GeoTIFF and NetCDF file, by its path without suffix; bands keep their descriptions.

        A GeoTIFF becomes a dataset of one variable per band with coordinates ``y`` and ``x`` in units of
        its CRS, which is the attribute ``crs``; nodata is NaN.
        """
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix == ".nc":
                import xarray

                found[_name(path, self.folder)] = xarray.open_dataset(path, engine="h5netcdf")
            elif path.suffix in (".tif", ".tiff"):
                found[_name(path, self.folder)] = _geotiff(path)
        return found

    @cached_property
    def vectors(self) -> Mapping[str, geopandas.GeoDataFrame]:
        """Every vector file, by its path without suffix; of a further layer, by path and ``:LAYER``."""
        import geopandas
        import pyogrio

        found = {}
        for path in sorted(path for path in self.folder.rglob("*") if path.suffix in _VECTORS):
            for number, layer in enumerate(pyogrio.list_layers(path)[:, 0]):
                name = _name(path, self.folder) + (f":{layer}" if number else "")
                found[name] = geopandas.read_file(path, layer=layer)
        return found


@dataclass(frozen=True)
class OpenRun:
    """A finished run: its record, its scores and its products.

    Parameters
    ----------
    folder
        A folder ``runs/MODEL/PLACE/ID`` of a workspace.
    """

    folder: Path

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """What was trained: model, options, seed, glacier, command."""
        from icectl.workspace import run_of

        return run_of(self.folder)

    @cached_property
    def metrics(self) -> Mapping[str, Any] | None:
        """The tables of the newest evaluation, or None."""
        from icectl.export import newest_metrics

        return newest_metrics(self.folder)

    @property
    def predictions(self) -> list[Products]:
        """What was predicted with it, the newest last."""
        from icectl.workspace import RECORD

        found = sorted(self.folder.glob(f"predictions/*/{RECORD}"), key=lambda path: path.stat().st_mtime)
        return [Products(path.parent) for path in found]


def open_run(name: str | Path = "last", workspace: str | Path | None = None) -> OpenRun:
    """Open a finished run.

    Parameters
    ----------
    name
        Its folder, the start of its id, or ``"last"``.
    workspace
        Where runs are kept; by default ``$ICECTL_WORKSPACE``, else ``./icectl-workspace``.

    Raises
    ------
    icectl.errors.UsageError
        There is no such run.

    Examples
    --------
    >>> icectl.open_run("last").metrics["tables"][0]["title"]  # doctest: +SKIP
    """
    from icectl import stages
    from icectl.workspace import Workspace

    return OpenRun(stages.find_run(Workspace.locate(Path(workspace) if workspace else None), str(name)))


def fetch(model: str, **options: Any) -> Products:
    """Fetch as ``icectl fetch MODEL`` does: what the model of a glacier reads.

    Parameters
    ----------
    model, **options
        As in `predict`: ``glacier``, ``scenes``, ``source``, ``dates`` …

    Examples
    --------
    >>> icectl.fetch("svg", glacier="demo").folder  # doctest: +SKIP
    """
    from icectl.cli.work import outcome

    made = outcome("fetch", model, options)
    return Products(made.out, made.skipped)


def predict(model: str, **options: Any) -> Products:
    """Predict as ``icectl predict MODEL`` does: with the newest run, or with the weights that come with it.

    Parameters
    ----------
    model
        A model's name or alias.
    **options
        What the command line takes, with ``_`` for ``-``: ``scenes``, ``dem``, ``outlines``, ``weights`` …

    Returns
    -------
    Products
        The same files as the command line writes.

    Raises
    ------
    icectl.errors.IcectlError
        One sentence and a hint, as on the command line.

    Examples
    --------
    >>> fronts = icectl.predict("deeplab-xception", scenes="images")  # doctest: +SKIP
    >>> fronts.vectors  # doctest: +SKIP
    """
    from icectl.cli.work import outcome

    made = outcome("predict", model, options)
    return Products(made.out, made.skipped)


def train(model: str, **options: Any) -> OpenRun:
    """Train as ``icectl train MODEL`` does; a finished training of the same options is opened.

    Parameters
    ----------
    model, **options
        As in `predict`: ``glacier``, ``scenes``, ``preset``, ``updates``, ``seed`` …

    Examples
    --------
    >>> icectl.train("convlstm", glacier="demo").folder  # doctest: +SKIP
    """
    from icectl.cli.work import outcome

    return OpenRun(outcome("train", model, options).out)


def evaluate(model: str, **options: Any) -> OpenRun:
    """Evaluate as ``icectl evaluate MODEL`` does; the scores are the run's `OpenRun.metrics`.

    Parameters
    ----------
    model, **options
        As in `train`. Stages that are missing are done first.

    Examples
    --------
    >>> run = icectl.evaluate("convlstm", glacier="demo")  # doctest: +SKIP
    >>> run.metrics["tables"][0]["rows"][0]["values"]["mse"]  # doctest: +SKIP
    """
    from icectl.cli.work import outcome

    return OpenRun(outcome("evaluate", model, options).out.parents[1])


def velocity(scenes: str | Path, **options: Any) -> Products:
    """Measure the velocity of ice in two frames or more; nothing is trained.

    Parameters
    ----------
    scenes
        A folder of images with dates in their names.
    **options
        More options of ``icectl predict svg``.

    Examples
    --------
    >>> moved = icectl.velocity("my-frames")  # doctest: +SKIP
    >>> moved.rasters  # doctest: +SKIP
    """
    return predict("svg", scenes=scenes, forecast=False, **options)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _geotiff(path: Path) -> xarray.Dataset:
    import numpy as np
    import xarray

    from icectl.raster.files import opened

    with opened(path) as file:
        bands = file.read(masked=True)
        step = file.transform
        names = [said or f"band_{i + 1}" for i, said in enumerate(file.descriptions)]
        tags, crs = file.tags(), str(file.crs) if file.crs else ""
    x = step.c + step.a * (np.arange(bands.shape[2]) + 0.5)
    y = step.f + step.e * (np.arange(bands.shape[1]) + 0.5)
    filled = {
        name: (("y", "x"), band.astype(np.promote_types(band.dtype, np.float32)).filled(np.nan))
        for name, band in zip(names, bands, strict=True)
    }
    return xarray.Dataset(filled, coords={"y": y, "x": x}, attrs={**tags, "crs": crs})
