"""Checks of what comes out: georeferenced predictions, a recomputable evaluation, a dry run that is dry."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from icectl.contract import VERBS, Metrics
from icectl.errors import WorkError
from icectl.model import OffersOnnx
from icectl.raster.files import opened
from icectl.raster.write import rewrite
from icectl.stages import metrics_record
from icectl.testing.subject import Subject

RASTERS = (".tif", ".tiff")
PRODUCTS = (*RASTERS, ".gpkg", ".nc", ".zarr", ".geojson", ".csv", ".json", ".txt")
OTHERS = shutil.ignore_patterns(*(f"*{suffix}" for suffix in PRODUCTS if suffix not in RASTERS))


def rasters(folder: Path) -> list[Path]:
    """Return the GeoTIFFs below a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix in RASTERS)


def prediction_is_georeferenced(subject: Subject) -> None:
    """Check that rasters keep the CRS of what went in, lie on its pixels, and declare their nodata."""
    found = rasters(subject.predicted)
    others = [path for path in subject.predicted.rglob("*") if path.suffix in PRODUCTS]
    assert found or others, f"predict wrote none of {', '.join(PRODUCTS)}"
    grids = list(_source_grids(subject))
    for path in found:
        with opened(path) as raster:
            assert raster.crs is not None, f"{path.name} has no CRS"
            assert not raster.transform.is_identity, f"{path.name} has no transform"
            floating = np.issubdtype(np.dtype(raster.dtypes[0]), np.floating)
            assert raster.nodata is not None or not floating, f"{path.name} declares no nodata"
            if grids:
                _lies_on_one_of(path.name, raster, grids)


def _source_grids(subject: Subject) -> Iterator[tuple[Any, Any]]:
    """Yield (CRS, transform) of the rasters that were fetched or prepared."""
    for folder in subject.prepared.values():
        for path in rasters(folder)[:20]:
            with opened(path) as raster:
                if raster.crs is not None:
                    yield raster.crs, raster.transform


def _lies_on_one_of(name: str, raster: Any, grids: list[tuple[Any, Any]]) -> None:
    same_crs = [transform for crs, transform in grids if crs == raster.crs]
    assert same_crs, f"{name} is in {raster.crs}, the input in {grids[0][0]}"
    ours = raster.transform
    equal_size = [one for one in same_crs if math.isclose(one.a, ours.a) and math.isclose(one.e, ours.e)]
    if equal_size:  # the same pixel size: pixel edges must meet
        meets = any(_whole((ours.c - t.c) / t.a) and _whole((ours.f - t.f) / t.e) for t in equal_size)
        assert meets, f"{name} lies between the pixels of the input"


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-3


def prediction_does_not_depend_on_tile(subject: Subject) -> None:
    """Check that the block of reading and writing is not seen in the result (if there is ``tile``)."""
    if "tile" not in subject.plugin.stages["predict"].model_fields:
        return
    first, second = (subject.predict(f"tile-{tile}", tile=tile) for tile in (32, 80))
    pairs = list(zip(rasters(first), rasters(second), strict=True))
    for a, b in pairs:
        with opened(a) as one, opened(b) as two:
            assert (one.transform, one.shape) == (two.transform, two.shape), f"{a.name} moves with --tile"
            same = np.array_equal(one.read(), two.read(), equal_nan=np.issubdtype(one.dtypes[0], np.floating))
            assert same, f"{a.name} depends on --tile"


def evaluation_is_recomputable(subject: Subject) -> None:
    """Check that evaluating copies of the saved files with a fresh model gives the same numbers."""
    first = subject.evaluate("evaluate", subject.predicted)
    copy = subject.folder / "predict-copy"
    shutil.copytree(subject.predicted, copy, dirs_exist_ok=True)
    second = subject.evaluate("evaluate-again", copy)
    assert _values(first) == _values(second), "evaluating the same files again gives other numbers"
    for name, change in SPOILT.items():
        spoilt = subject.folder / f"predict-{name}"
        shutil.copytree(subject.predicted, spoilt, dirs_exist_ok=True, ignore=OTHERS)
        for path in rasters(spoilt):
            rewrite(path, change)
        try:
            third = subject.evaluate(f"evaluate-{name}", spoilt)
        except Exception:
            return  # it looked, and refused
        if _values(first) != _values(third):
            return
    raise AssertionError("evaluate does not read the predictions: spoiled ones score the same")


def _values(metrics: Metrics) -> str:
    return json.dumps(metrics_record(metrics)["tables"], sort_keys=True, default=str)


def _opposite(values: Any) -> Any:
    """Return values of which the highest are the lowest; other ones where all are alike."""
    known = values[np.isfinite(values)] if np.issubdtype(values.dtype, np.floating) else values
    low, high = (known.min(), known.max()) if known.size else (0, 0)
    return high - (values - low) if high > low else values + values.dtype.type(1)


SPOILT: dict[str, Callable[[Any], Any]] = {
    "moved": lambda values: np.roll(values[..., ::-1, :], 3, axis=-1),
    "opposite": _opposite,
    "raised": lambda values: values + values.dtype.type(1),
    "lowered": lambda values: values - values.dtype.type(1),
}
"""Ways to spoil rasters: one alone may leave a score as it was. A constant one is moved unchanged, chances
of water all below 0.5 stay so unless they are raised."""


def evaluation_has_a_baseline(subject: Subject) -> None:
    """Check that there is a baseline beside the model, the deciding column exists, and values are numbers."""
    metrics = subject.evaluate("evaluate", subject.predicted)
    assert metrics.tables, "evaluate returned no table"
    table = metrics.tables[0]
    assert table.primary in [column.key for column in table.columns], f"no column '{table.primary}' decides"
    kinds = [row.kind for row in table.rows]
    assert "model" in kinds, "the first table has no row of kind 'model'"
    assert "baseline" in kinds, "the first table has no row of kind 'baseline': a score alone says nothing"
    own = [row.name for row in table.rows if row.kind == "model"]
    name = subject.plugin.name
    assert any(row.startswith(name) for row in own), f"no row of the model begins with '{name}', but {own[0]}"
    for row in table.rows:
        unknown = set(row.values) - {column.key for column in table.columns}
        assert not unknown, f"row '{row.name}' has values without a column: {', '.join(sorted(unknown))}"


def dry_run_touches_nothing(subject: Subject) -> None:
    """Check that ``--dry-run`` of every verb makes no file and no folder."""
    workspace = subject.folder / "dry" / "workspace"
    workspace.parent.mkdir(parents=True, exist_ok=True)
    code = "import sys; from icectl.cli import main; sys.exit(main())"
    words = ["evaluate", subject.plugin.name, "--glacier", subject.glacier.name, "--dry-run", "--workspace"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, str(workspace)],
        capture_output=True,
        text=True,
        check=False,
        cwd=workspace.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
    )
    assert done.returncode == 0, f"--dry-run failed: {done.stderr.strip()}"
    left = list(workspace.parent.iterdir())
    assert not left, f"--dry-run made {', '.join(path.name for path in left)}"
    done_before = {"train"} if subject.plugin.weights else set()  # its own weights stand in for a training
    lacking = [verb for verb in VERBS if verb not in done.stdout and verb not in done_before]
    assert not lacking, f"--dry-run does not say what {', '.join(lacking)} would do"


def onnx_agrees(subject: Subject) -> None:
    """Check that what ``export --onnx`` writes gives torch's numbers on a batch of a third size."""
    import onnxruntime
    import torch

    from icectl.onnx import TOLERANCE, apart, export_onnx

    if not isinstance(subject.model, OffersOnnx):
        return
    run = subject.run("predict", "onnx", {"train": subject.trained})
    if not subject.model.onnx(run):
        return
    try:
        written = export_onnx(subject.plugin, run, run.out)
    except WorkError as error:
        raise AssertionError(str(error)) from error
    for network, file in zip(subject.model.onnx(run), written, strict=True):
        values = {
            name: torch.cat([x, x, x]) if 0 in network.axes.get(name, {}) else x
            for name, x in network.inputs.items()
        }
        with torch.no_grad():
            expected = network.module.eval()(*values.values())
        session = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
        wanted = [entry.name for entry in session.get_inputs()]
        found = session.run(None, {name: values[name].numpy() for name in wanted})
        for one, other in zip(expected if isinstance(expected, tuple) else (expected,), found, strict=True):
            worst = apart(one, torch.from_numpy(other))
            assert worst <= TOLERANCE, f"{file.path.name} differs from torch by {worst:.2g} on another batch"
