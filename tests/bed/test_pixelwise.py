"""Per-pixel comparison with other people's thickness, on other grids and in other CRS."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform

from icectl.errors import DataError
from icectl.tasks.bed.products import COLUMNS
from icectl.tasks.bed.scores.pixels import compare, raster_of

NAME = "RGI60-11.00001"
LEFT, TOP, SIZE, PIXELS = 400_000.0, 5_100_000.0, 30.0, 60


def raster(
    path: Path, values: np.ndarray, crs: str, left: float, top: float, size: float, nodata=None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype="float32",
        crs=crs, transform=from_origin(left, top, size, size), nodata=nodata,
    ) as made:  # fmt: skip
        made.write(values.astype("float32"), 1)
    return path


def plane(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """A thickness that is linear in place: 100 m in the middle, 1 m more for every 30 m to the east."""
    return 100 + (east - LEFT - SIZE * PIXELS / 2) / 30 + 0 * north


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    """A prediction of one glacier, 10 m thicker than `plane`; off the ice nothing is known."""
    folder = tmp_path / "prediction"
    rows, cols = np.mgrid[:PIXELS, :PIXELS]
    made = plane(LEFT + (cols + 0.5) * SIZE, TOP - (rows + 0.5) * SIZE) + 10
    made[(rows - 30) ** 2 + (cols - 30) ** 2 > 20**2] = np.nan
    raster(folder / NAME / "thickness.tif", made, "EPSG:32632", LEFT, TOP, SIZE, np.nan)
    row = dict.fromkeys(COLUMNS, "") | {"id": NAME}
    failed = dict.fromkeys(COLUMNS, "") | {"id": "RGI60-11.00002", "note": "off the map"}
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows([row, failed])
    return folder


def theirs_in_degrees(path: Path, size: float = 0.0003, nodata: float = -9999.0) -> Path:
    """The plane on a grid in degrees, with declared nodata in its western half."""
    lon, lat = transform("EPSG:32632", "EPSG:4326", [LEFT, LEFT + 1800], [TOP, TOP - 1800])
    left, top = min(lon) - 0.01, max(lat) + 0.01
    cols, rows = np.meshgrid(np.arange(150) + 0.5, np.arange(150) + 0.5)
    flat = (left + cols * size).ravel(), (top - rows * size).ravel()
    east, north = (np.array(v).reshape(150, 150) for v in transform("EPSG:4326", "EPSG:32632", *flat))
    values = np.where(east < LEFT + 900, nodata, plane(east, north))
    return raster(path, values, "EPSG:4326", left, top, size, nodata)


def test_another_grid_and_crs_are_brought_together_and_nodata_is_left_out(prediction, tmp_path) -> None:
    table = compare("mine", prediction, theirs_in_degrees(tmp_path / "f.tif"), "Theirs", "modelled")
    rows = {row.name: row for row in table.rows}
    model = rows["mine: thickness (b)"]
    assert model.values["bias"] == pytest.approx(10, abs=0.2)
    assert model.values["rmse"] == pytest.approx(10, abs=0.3)
    assert rows["no ice"].values["bias"] < -100
    count = int(table.note.split()[0])
    assert count == pytest.approx(np.pi * 20**2 / 2, rel=0.06)  # the western half is nodata
    volume = count * 900 * 1e-9
    assert model.values["volume"] == pytest.approx(volume * (100 + 20 * 4 / (3 * np.pi) + 10), rel=0.02)


def test_decimetres_with_a_scale_tag_are_metres(prediction, tmp_path) -> None:
    """Integers of 0.1 m, as some archives keep a consensus thickness: the same 10 m apart."""
    rows, cols = np.mgrid[:PIXELS, :PIXELS]
    metres = plane(LEFT + (cols + 0.5) * SIZE, TOP - (rows + 0.5) * SIZE)
    with rasterio.open(
        tmp_path / "f.tif", "w", driver="GTiff", height=PIXELS, width=PIXELS, count=1, dtype="int16",
        crs="EPSG:32632", transform=from_origin(LEFT, TOP, SIZE, SIZE), nodata=-1,
    ) as made:  # fmt: skip
        made.write(np.rint(metres * 10).astype("int16"), 1)
        made.scales = (0.1,)
    table = compare("mine", prediction, tmp_path / "f.tif", "Theirs", "modelled")
    model = {row.name: row for row in table.rows}["mine: thickness (b)"]
    assert model.values["bias"] == pytest.approx(10, abs=0.06)


def test_two_bands_without_names_are_said(prediction, tmp_path) -> None:
    path = theirs_in_degrees(tmp_path / "f.tif")
    with rasterio.open(path) as one:
        values, about = one.read(1), {**one.profile, "count": 2}
    with rasterio.open(tmp_path / "two.tif", "w", **about) as two:
        two.write(np.stack([values, values / 4]))
    table = compare("mine", prediction, tmp_path / "two.tif", "Theirs", "modelled")
    assert "two.tif has 2 bands without names: the first is read" in table.note
    assert "bands" not in compare("mine", prediction, path, "Theirs", "modelled").note


def test_a_folder_gives_each_glacier_its_own_raster(prediction, tmp_path) -> None:
    theirs_in_degrees(tmp_path / "all" / "RGI60-11" / f"{NAME}_thickness.tif")
    raster(
        tmp_path / "all" / "RGI60-11" / "RGI60-11.00009_thickness.tif",
        np.ones((3, 3)),
        "EPSG:32632",
        0,
        9,
        30,
    )
    table = compare("mine", prediction, tmp_path / "all", "Theirs", "modelled")
    assert table.rows[0].values["bias"] == pytest.approx(10, abs=0.2)
    assert "times that of the predicted" not in table.note
    for name in ("12_h.tif", "2_h.tif"):
        raster(tmp_path / "short" / name, np.ones((3, 3)), "EPSG:32632", 0, 9, 30)
    assert raster_of(tmp_path / "short", "2").name == "2_h.tif"  # glacier 12 was compared with glacier 2


def test_thickness_many_times_the_predicted_is_doubted(prediction, tmp_path) -> None:
    rows, cols = np.mgrid[:PIXELS, :PIXELS]
    metres = plane(LEFT + (cols + 0.5) * SIZE, TOP - (rows + 0.5) * SIZE)
    raster(tmp_path / "f.tif", 10 * metres, "EPSG:32632", LEFT, TOP, SIZE)
    table = compare("mine", prediction, tmp_path / "f.tif", "Theirs", "modelled")
    assert "is 9.1 times that of the predicted: perhaps it is in another unit" in table.note


@pytest.mark.parametrize("elsewhere", ["far away", "all nodata", "no ice", "no such glacier"])
def test_nothing_in_common_is_one_sentence(prediction, tmp_path, elsewhere: str) -> None:
    values = np.full((60, 60), {"all nodata": -1.0, "no ice": 0.0}.get(elsewhere, 50.0))
    left = LEFT + (1e5 if elsewhere == "far away" else 0)
    path = raster(tmp_path / "a" / "x.tif", values, "EPSG:32632", left, TOP, SIZE, -1.0)
    with pytest.raises(DataError, match="no pixel of ice in common") as caught:
        compare(
            "mine", prediction, path.parent if elsewhere == "no such glacier" else path, "Theirs", "modelled"
        )
    assert caught.value.hint


def test_a_raster_without_crs_is_refused(prediction, tmp_path) -> None:
    from rasterio.errors import NotGeoreferencedWarning

    with pytest.warns(NotGeoreferencedWarning), rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", height=3, width=3, count=1, dtype="float32"
    ) as made:  # fmt: skip
        made.write(np.ones((1, 3, 3), "float32"))
    with pytest.raises(DataError, match="CRS"):
        compare("mine", prediction, tmp_path / "x.tif", "Theirs", "modelled")
