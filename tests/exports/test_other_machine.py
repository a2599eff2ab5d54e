"""An export is all that another machine needs: each task predicts from it, and gets the same files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from smallest_words import words


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Call icectl as the console script does, in an empty working folder."""
    from icectl import cli as terminal

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Any:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["icectl", *arguments])
        try:
            code = terminal.call(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        assert code == 0, f"exit {code}\n{out}\n{err}"
        return SimpleNamespace(json=json.loads(out) if "--json" in arguments else None, out=out)

    return call


def own_files(model: str, run: Path, folder: Path) -> list[str]:
    """Copy what a run was fetched from to `folder`, as files of a user's own; return the flags."""
    fetched = (run / json.loads((run / "run.json").read_text())["inputs"]["fetch"]).resolve()
    if model == "inpaint-gan":
        folder.mkdir()
        world = next(path for path in fetched.rglob("dem.tif") if path.parent.name == "test")
        for name in ("dem.tif", "outlines.gpkg"):
            shutil.copy(world.with_name(name), folder / name)
        return ["--dem", str(folder / "dem.tif"), "--outlines", str(folder / "outlines.gpkg")]
    if model == "deeplab-xception":
        folder.mkdir()
        for image in sorted(fetched.glob("fjord-0/*/*_SR_B5.TIF"))[:6]:
            shutil.copy(image, folder / image.name)
    else:
        shutil.copytree(fetched, folder)
        (folder / "stage.json").unlink()
    return ["--scenes", str(folder)]


def contents(folder: Path) -> dict[str, Any]:
    """Return the products of a prediction by name."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "stage.json"):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".tif":
            with rasterio.open(path) as file:
                found[name] = (str(file.crs), tuple(file.transform), str(file.nodata), file.read())
        elif path.suffix == ".gpkg":
            layers = gpd.list_layers(path)["name"]
            found[name] = [gpd.read_file(path, layer=layer).to_json(default=str) for layer in layers]
        elif path.suffix in (".csv", ".geojson"):
            found[name] = path.read_text()
        elif path.name in (".zattrs", ".zmetadata"):  # they say when the file was written
            found[name] = None
        elif ".zarr/" in name or path.suffix in (".npy", ".npz"):
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


SLOW = [pytest.param(model, marks=pytest.mark.slow) for model in ("convlstm", "svg", "inpaint-gan")]


@pytest.mark.parametrize("model", ["deeplab-xception", *SLOW])
def test_prediction_from_an_export_equals_the_run_s_own(cli, tmp_path, model):
    here = tmp_path / "here"
    trained = cli("train", model, "--workspace", str(here), *words(model, "train"), "--json").json["run"]
    mine = own_files(model, Path(trained), tmp_path / "mine")
    first = cli("predict", model, "--run", trained, "--workspace", str(here), *mine, "--json").json["folder"]
    cli("export", trained, "--workspace", str(here), "--out", str(tmp_path / "model.zip"))
    expected = contents(Path(first))
    here.rename(tmp_path / "gone")  # the other machine has neither the run nor its data

    there = tmp_path / "there"
    arguments = ["--from", str(tmp_path / "model.zip"), "--workspace", str(there), *mine, "--json"]
    shown = cli("predict", *arguments).json
    found = contents(Path(shown["folder"]))
    assert there in Path(shown["folder"]).parents
    assert any(name.endswith((".tif", ".gpkg")) for name in found)
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, tuple):
            assert found[name][:3] == value[:3], name
            np.testing.assert_array_equal(found[name][3], value[3], err_msg=name)
        else:
            assert found[name] == value, name
