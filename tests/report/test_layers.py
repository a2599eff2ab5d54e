"""Rasters that panels name, against rasterio, xarray and scikit-image."""

import numpy as np
import pytest
import rasterio
from report_runs import grid, relief
from skimage.measure import block_reduce

from icectl.errors import DataError
from icectl.raster import write_cog
from icectl.report import layers
from icectl.report.layers import Reader, thin
from icectl.report.panels import Layer


def test_thinning_by_a_whole_number_is_a_block_mean():
    image = relief(60, 90)
    np.testing.assert_allclose(thin(image, 30), block_reduce(image, 3, np.mean), rtol=1e-5)


def test_thinning_leaves_missing_pixels_out():
    image = np.ones((40, 40), np.float32)
    image[:20] = np.nan
    image[20:, ::2] = 3
    small = thin(image, 10)
    assert np.isnan(small[:5]).all()
    np.testing.assert_allclose(small[5:], 2.0)
    assert thin(image, 40) is image


def test_a_band_is_read_where_the_folders_have_it(tmp_path):
    values = np.stack([relief(30, 40, s) for s in range(3)])
    values[0, :5] = -1
    (tmp_path / "b" / "predictions").mkdir(parents=True)
    write_cog(tmp_path / "b" / "predictions" / "x.tif", values, grid(30, 40), nodata=-1)
    reader = Reader([tmp_path / "a", tmp_path / "b"])
    raster = reader.read(Layer(file="predictions/x.tif", band=1))
    with rasterio.open(tmp_path / "b" / "predictions" / "x.tif") as source:
        expected = source.read(1, masked=True)
        assert raster.grid.affine == source.transform
    np.testing.assert_array_equal(np.isnan(raster.values), expected.mask)
    np.testing.assert_array_equal(raster.values[5:], values[0, 5:])
    np.testing.assert_array_equal(reader.read(Layer(file="predictions/x.tif", band=3)).values, values[2])


def test_many_bands_are_decoded_once_and_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "_BLOCK", 16)
    values = np.stack([relief(50, 37, s) for s in range(5)])
    write_cog(tmp_path / "x.tif", values, grid(50, 37))
    reader, calls = Reader([tmp_path]), []
    real = layers.read
    monkeypatch.setattr(layers, "read", lambda *a, **k: calls.append(a) or real(*a, **k))
    for band in (1, 4, 5):
        np.testing.assert_array_equal(reader.read(Layer(file="x.tif", band=band)).values, values[band - 1])
    assert len(calls) == 12  # 4 × 3 blocks, each once for all bands


def test_a_large_scene_is_read_thinned(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "MOST_PIXELS", 400)
    image = relief(80, 80)
    write_cog(tmp_path / "x.tif", image, grid(80, 80))
    raster = Reader([tmp_path]).read(Layer(file="x.tif"))
    assert raster.shape == (80, 80)
    np.testing.assert_allclose(raster.values, block_reduce(image, 4, np.mean), rtol=1e-4)


@pytest.mark.parametrize("kind", ["zarr", "nc"])
def test_a_slice_of_a_cube(tmp_path, kind):
    import xarray as xr
    from odc.geo.xr import xr_coords

    where = grid(20, 30)
    values = np.stack([relief(20, 30, s) for s in range(4)])
    values[2, 3, 4] = np.nan
    cube = xr.Dataset({"snow": (("time", "y", "x"), values)}, coords=xr_coords(where))
    cube["snow"].encoding["grid_mapping"] = "spatial_ref"
    path = tmp_path / f"cube.{kind}"
    cube.to_zarr(path, consolidated=False) if kind == "zarr" else cube.to_netcdf(path, engine="h5netcdf")
    raster = Reader([tmp_path]).read(Layer(file=f"cube.{kind}", variable="snow", index=(2,)))
    np.testing.assert_array_equal(raster.values, values[2])
    assert raster.grid is not None
    assert raster.grid.affine.almost_equals(where.affine)
    assert raster.grid.crs.epsg == 32643


def test_a_prepared_dataset_without_a_crs_has_no_grid_and_warns_of_nothing(tmp_path):
    """The terminal of a user showed a library's warning: "Failed to parse CRS"."""
    import xarray as xr

    coords = {"y": np.arange(6.0), "x": np.arange(8.0)}
    cube = xr.Dataset({"frame": (("y", "x"), np.ones((6, 8), np.float32))}, coords)
    cube.attrs.update(crs="", transform="[1, 0, 0, 0, -1, 6]")
    cube.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    assert Reader([tmp_path]).read(Layer(file="cube.nc", variable="frame")).grid is None


def test_a_picture_has_no_grid(tmp_path):
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "x.png")
    raster = Reader([tmp_path]).read(Layer(file="x.png"))
    assert raster.grid is None
    assert raster.values[1, 0] == 8


def test_what_cannot_be_read_says_so(tmp_path):
    import xarray as xr

    reader = Reader([tmp_path])
    with pytest.raises(DataError, match=r"gone\.tif is no longer there"):
        reader.read(Layer(file="gone.tif"))
    write_cog(tmp_path / "x.tif", relief(8, 8), grid(8, 8))
    with pytest.raises(DataError, match="no band 2"):
        reader.read(Layer(file="x.tif", band=2))
    xr.Dataset({"snow": (("time", "y", "x"), np.zeros((2, 4, 4), np.float32))}).to_netcdf(
        tmp_path / "c.nc", engine="h5netcdf"
    )
    for layer, words in (
        (Layer(file="c.nc", variable="ice", index=(0,)), "ice of c.nc cannot be read"),
        (Layer(file="c.nc", variable="snow", index=(9,)), "snow of c.nc cannot be read"),
        (Layer(file="c.nc", variable="snow"), "is no 2-D raster"),
    ):
        with pytest.raises(DataError, match=words):
            reader.read(layer)
