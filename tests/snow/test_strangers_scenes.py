"""One scene stored in many ways through the command line: the same snow, or a refusal whose hint works."""

from __future__ import annotations

import json
import shutil
import tarfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from writing import tif

from icectl.tasks.snow.dataset import open_dataset

NORTH = Affine(30, 0, 500_000, 0, -30, 4_000_000)
SIZE = 32
GREEN, SWIR = np.meshgrid(np.linspace(0.2, 0.9, SIZE), np.linspace(0.05, 0.5, SIZE))
INDEX = (GREEN - SWIR) / (GREEN + SWIR)
DAYS = ("20220701", "20220717")
FLAGS = ("--cadence", "scenes", "--align", "none", "--no-fill")


def write(path, values, transform=NORTH, crs="EPSG:32643", scale=None, descriptions=None, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = values if values.ndim == 3 else values[np.newaxis]
    with rasterio.open(
        path, "w", driver="GTiff", height=SIZE, width=SIZE, count=len(bands), dtype=bands.dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(bands)
        if scale:
            file.scales, file.offsets = (scale[0],) * len(bands), (scale[1],) * len(bands)
        if descriptions:
            file.descriptions = descriptions
    return path


def numbers(values, scale, offset, dtype="uint16"):
    return np.rint((values - offset) / scale).astype(dtype)


def landsat(folder):
    for day in DAYS:
        stem = f"LC08_L2SP_147038_{day}_20220726_02_T1"
        for layer, values in (("SR_B3", GREEN), ("SR_B6", SWIR)):
            write(folder / stem / f"{stem}_{layer}.TIF", numbers(values, 2.75e-5, -0.2), nodata=0)
        write(folder / stem / f"{stem}_QA_PIXEL.TIF", np.full((SIZE, SIZE), 1 << 6, np.uint16))
        for layer in ("ST_ATRAN", "ST_CDIST", "SR_QA_AEROSOL"):
            write(folder / stem / f"{stem}_{layer}.TIF", np.full((SIZE, SIZE), 100, np.uint8))
        write(folder / stem / f"{stem}_B8.TIF", np.ones((SIZE, SIZE), np.uint16), NORTH * Affine.scale(0.5))


def tar(folder):
    landsat(folder / "x")
    for scene in (folder / "x").iterdir():
        with tarfile.open(folder / f"{scene.name}.tar", "w") as archive:
            for file in scene.iterdir():
                archive.add(file, file.name)
    for file in sorted((folder / "x").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (folder / "x").rmdir()


def south_up(folder):
    south = Affine(30, 0, 500_000, 0, 30, 4_000_000 - 30 * SIZE)
    for day in DAYS:
        write(folder / f"{day}_green.tif", GREEN[::-1].astype(np.float32), south)
        write(folder / f"{day}_swir16.tif", SWIR.astype(np.float32))


def scale_tag(folder):
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            write(folder / f"{day}_{name}.tif", numbers(values, 1e-3, -0.1, "int16"), scale=(1e-3, -0.1))


def stack(folder):
    for day in DAYS:
        bands = np.stack([numbers(v, 2.75e-5, -0.2) for v in (SWIR, GREEN)])
        write(folder / f"L8_{day}.tif", bands, descriptions=("SR_B6", "SR_B3"), nodata=0)


def a_band_a_date(folder):
    """As Earth Engine exports a collection as one image."""
    for name, values in (("green", GREEN), ("swir16", SWIR)):
        names = [f"{day}T053641_{name}" for day in DAYS]
        bands = np.stack([values] * 2).astype(np.float32)
        write(folder / f"{name if name == 'green' else 'stack'}_2022.tif", bands, descriptions=names)


def item(fields):
    def made(folder):
        for day in DAYS:
            assets = {}
            for name, values in (("green", GREEN), ("swir16", SWIR)):
                write(folder / f"{day}_{name}.tif", numbers(values, 1e-4, -0.1), nodata=0)
                assets[name] = {"href": f"./{day}_{name}.tif", **fields}
            about = {"datetime": f"{day[:4]}-{day[4:6]}-{day[6:]}T05:00:00Z"}
            text = json.dumps({"type": "Feature", "properties": about, "geometry": None, "assets": assets})
            (folder / f"{day}.json").write_text(text)

    return made


def hls(folder):
    for day in ("2022182", "2022198"):
        stem = f"HLS.S30.T43RFP.{day}T053641.v2.0"
        for layer, values in (("B03", GREEN), ("B11", SWIR)):
            write(folder / f"{stem}.{layer}.tif", numbers(values, 1e-4, 0, "int16"), nodata=-9999)
        snow = np.full((SIZE, SIZE), 16 + 64, np.uint8)  # snow, low aerosol: no cloud
        write(folder / f"{stem}.Fmask.tif", snow, nodata=255)


def jp2(path, values, transform=NORTH):
    """Write a JPEG 2000 without loss, as Sentinel-2 is delivered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=SIZE, width=SIZE, count=1, dtype=values.dtype,
        crs="EPSG:32643", transform=transform, QUALITY="100", REVERSIBLE="YES", YCBCR420="NO",
    ) as file:  # fmt: skip
        file.write(values, 1)


def safe(folder):
    """Sentinel-2 of baseline 05.09 (offset −1000) in SAFE folders, with layers of 10 m and 60 m beside."""
    for day in DAYS:
        stem = f"S2A_MSIL2A_{day}T053641_N0509_R005_T43RFP_{day}T093000"
        place = folder / f"{stem}.SAFE" / "GRANULE" / f"L2A_T43RFP_A036_{day}T053652" / "IMG_DATA"
        for layer, values in (("B03", GREEN), ("B11", SWIR), ("B02", GREEN)):
            jp2(place / "R20m" / f"T43RFP_{day}T053641_{layer}_20m.jp2", numbers(values, 1e-4, -0.1))
        jp2(place / "R20m" / f"T43RFP_{day}T053641_SCL_20m.jp2", np.full((SIZE, SIZE), 11, np.uint8))
        fine, half = np.ones((SIZE, SIZE), np.uint16), NORTH * Affine.scale(0.5)
        jp2(place / "R10m" / f"T43RFP_{day}T053641_B03_10m.jp2", fine, half)


def vrt(folder):
    """Virtual rasters over bands of another folder."""
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            source = write(folder.parent / "far" / f"{day}_{name}.tif", values.astype(np.float32))
            steps = ", ".join(map(str, NORTH.to_gdal()))
            folder.mkdir(exist_ok=True)
            (folder / f"{day}_{name}.vrt").write_text(
                f'<VRTDataset rasterXSize="{SIZE}" rasterYSize="{SIZE}"><SRS>EPSG:32643</SRS>'
                f'<GeoTransform>{steps}</GeoTransform><VRTRasterBand dataType="Float32" band="1">'
                f"<SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>"
                "</VRTRasterBand></VRTDataset>"
            )


def other_format(driver, suffix):
    """ERDAS Imagine or ENVI, with a note beside whose name ends as ENVI's do."""

    def made(folder):
        folder.mkdir()
        (folder / "about.dat").write_text("no image")
        for day in DAYS:
            for name, values in (("green", GREEN), ("swir16", SWIR)):
                tif(folder / f"{day}_{name}{suffix}", values.astype(np.float32), driver=driver)

    return made


def tiles(folder):
    """Two tiles of each band that overlap, with a border of nothing on the first."""
    edge = SIZE // 2
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            stored = numbers(values, 2.75e-5, -0.2)
            west = np.where(np.arange(edge + 3) >= edge, 0, stored[:, : edge + 3]).astype(stored.dtype)
            for path, part, first in (("147", west, 0), ("148", stored[:, edge - 5 :], edge - 5)):
                stem = f"LC08_L2SP_{path}038_{day}_20220801_02_T1_SR_{'B3' if name == 'green' else 'B6'}"
                tif(folder / f"{stem}.TIF", part, NORTH * Affine.translation(first, 0), nodata=0)


def cube(kind, times=("2022-07-01", "2022-07-17"), dtype="datetime64[ns]"):
    def made(folder):
        import xarray as xr
        from odc.geo.geobox import GeoBox
        from odc.geo.xr import xr_coords

        coords = xr_coords(GeoBox((SIZE, SIZE), NORTH, "EPSG:32643"), "mapping")
        layers = {
            name: (("time", "y", "x"), np.stack([values] * 2).astype(np.float32), {"grid_mapping": "mapping"})
            for name, values in (("green", GREEN), ("swir16", SWIR))
        }
        data = xr.Dataset(layers, {**coords, "time": np.array(times, dtype)}).isel(y=slice(None, None, -1))
        del data["mapping"].attrs["GeoTransform"]
        folder.mkdir()
        if kind == "nc":
            data.to_netcdf(folder / "cube.nc", engine="h5netcdf")
        else:
            data.to_zarr(folder / "cube.zarr", consolidated=False)

    return made


@pytest.fixture
def series(icectl, tmp_path):
    """Prepare a folder through the command line and return the series of masks."""

    def call(*flags):
        icectl(
            "prepare",
            "convlstm",
            "--scenes",
            str(tmp_path / "in"),
            *FLAGS,
            *flags,
            "--workspace",
            str(tmp_path / "ws"),
        )
        (folder,) = (tmp_path / "ws").glob("glaciers/*/prepared/*")
        return open_dataset(folder).read(slice(None))

    return call


def same_snow(masks):
    """Compare with the closed form, but for pixels on the threshold, which rounding decides."""
    clear = np.abs(INDEX - 0.3) > 0.005
    np.testing.assert_allclose(masks[0][clear], np.where(INDEX < 0.3, 0, INDEX)[clear], atol=4e-3)


WAYS = {
    "delivered": landsat, "tar": tar, "south up": south_up, "scale tag": scale_tag, "stack": stack,
    "ERDAS": other_format("HFA", ".img"), "ENVI": other_format("ENVI", ".dat"), "tiles": tiles,
    "HLS": hls, "SAFE": safe, "VRT": vrt,
    "STAC 1.0": item({"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}),
    "STAC 1.1": item({"bands": [{"raster:scale": 1e-4, "raster:offset": -0.1}]}),
    "on the asset": item({"raster:scale": 1e-4, "raster:offset": -0.1}),
    "NetCDF": cube("nc"), "Zarr": cube("zarr"), "a band a date": a_band_a_date,
    "days as numbers": cube("nc", (20220701, 20220717), "int64"), "days as text": cube("nc", dtype="str"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_one_scene_in_many_ways(series, tmp_path, way):
    WAYS[way](tmp_path / "in")
    masks = series()
    assert masks.shape[0] == 2
    same_snow(masks)


def test_the_bands_of_a_stack_that_says_nothing_are_named(icectl, series, tmp_path):
    for day in DAYS:
        bands = np.stack([SWIR, np.full_like(SWIR, 0.1), GREEN]).astype(np.float32)
        write(tmp_path / "in" / f"stack_{day}.tif", bands)
    masks = series("--bands", "swir16", "--bands", "nir08", "--bands", "green")
    assert masks.shape[0] == 2
    same_snow(masks)


def test_codes_of_modis_snow_cover_are_no_index(series, tmp_path):
    """0 to 100 are percent; 250 is cloud, 211 night, 255 fill."""
    cover = np.rint(np.clip(INDEX, 0, 1) * 100).astype(np.uint8)
    cover[:, :4], cover[:, 4:8], cover[:, 8:12] = 250, 211, 255
    for day in DAYS:
        write(tmp_path / "in" / f"MOD10A1.A{day}_NDSI_Snow_Cover.tif", cover)
    masks = series()
    assert np.isnan(masks[:, :, :12]).all()
    known, clear = INDEX[:, 12:], np.abs(INDEX[:, 12:] - 0.3) > 0.006
    np.testing.assert_allclose(masks[0][:, 12:][clear], np.where(known < 0.3, 0, known)[clear], atol=6e-3)


def covers(folder, name, **about):
    cover = np.rint(np.clip(INDEX, 0, 1) * 100).astype(np.int16)
    cover[:, :4], cover[:, 4:8], cover[:, 8:12] = 250, 211, 200
    for day in ("2022182", "2022198"):
        bands = np.stack([cover, np.zeros_like(cover), np.rint(INDEX * 1e4).astype(np.int16)])
        write(folder / name.format(day), bands if "descriptions" in about else cover, **about)
        assets = {"NDSI_Snow_Cover": {"href": f"./a{day}.tif"}}
        about_it = {"datetime": f"2022-07-{'01' if day == '2022182' else '17'}T05:00:00Z"}
        text = {"type": "Feature", "properties": about_it, "geometry": None, "assets": assets}
        if name == "a{}.tif":
            (folder / f"a{day}.json").write_text(json.dumps(text))


STACK = ("NDSI_Snow_Cover", "NDSI_Snow_Cover_Basic_QA", "NDSI")


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("MOD10A1.A{}.h24v05.061.2022184041512_NDSI_Snow_Cover.tif", {}),
        ("VNP10A1F.A{}.h24v05.001.2022184041512_CGF_NDSI_Snow_Cover.tif", {}),
        ("NDSI_Snow_Cover/MOD10A1_A{}.tif", {}),
        ("MODIS_061_MOD10A1_{}.tif", {"descriptions": STACK}),
        ("a{}.tif", {}),
    ],
)
def test_snow_cover_of_modis_by_name_folder_description_and_item(series, tmp_path, name, about):
    covers(tmp_path / "in", name, **about)
    masks = series()
    assert np.isnan(masks[:, :, :12]).all()
    known, clear = INDEX[:, 12:], np.abs(INDEX[:, 12:] - 0.3) > 0.006
    np.testing.assert_allclose(masks[0][:, 12:][clear], np.where(known < 0.3, 0, known)[clear], atol=6e-3)


@pytest.mark.parametrize(
    ("name", "about"),
    [("MOD10A1.A{}_NDSI_Snow_Cover.tif", {}), ("a{}.tif", {"descriptions": ["NDSI_Snow_Cover"]})],
)
def test_floats_called_snow_cover_are_read_by_their_values(icectl, series, tmp_path, name, about):
    """Shares of one stay (they were divided by 100 and no snow was left); percents are asked for."""
    for day in ("2022182", "2022198"):
        write(tmp_path / "in" / name.format(day), INDEX.astype(np.float32), **about)
    clear = np.abs(INDEX - 0.3) > 1e-6
    np.testing.assert_allclose(series()[0][clear], np.where(INDEX < 0.3, 0, INDEX)[clear], atol=1e-6)
    for day in ("2022182", "2022198"):
        percents = np.where(INDEX > -0.5, INDEX * 100, 250)  # 250 is cloud
        write(tmp_path / "in" / name.format(day), percents.astype(np.float32), **about)
    where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "no"))
    refused = icectl("prepare", "convlstm", *where, *FLAGS, ok=False)
    assert "--scale" in " ".join(refused.err.split()), refused.err
    shutil.rmtree(tmp_path / "ws")
    masks = series("--scale", "0.01", "--offset", "0")
    assert (np.isnan(masks[0]) == (INDEX <= -0.5)).all()
    clear &= INDEX > -0.5
    np.testing.assert_allclose(masks[0][clear], np.where(INDEX < 0.3, 0, INDEX)[clear], atol=1e-6)


@pytest.mark.parametrize("word", ["ndsi", "ndsi_snow", "NDSI_Snow"])
def test_a_ready_index_stays_whatever_its_band_is_called(series, tmp_path, word):
    """Only NDSI_Snow_Cover is MODIS' product of 0 to 100."""
    for day in DAYS:
        write(tmp_path / "in" / f"parvati_{day}.tif", INDEX.astype(np.float32), descriptions=[word])
    masks, clear = series(), np.abs(INDEX - 0.3) > 1e-6
    np.testing.assert_allclose(masks[0][clear], np.where(INDEX < 0.3, 0, INDEX)[clear], atol=1e-6)


def test_scenes_in_degrees(series, tmp_path):
    degrees = Affine(3e-4, 0, 77, 0, -3e-4, 32)
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            write(tmp_path / "in" / f"{day}_{name}.tif", values.astype(np.float32), degrees, "EPSG:4326")
    same_snow(series())


def test_a_folder_a_band(series, tmp_path):
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            write(tmp_path / "in" / name / f"{day}.tif", values.astype(np.float32))
    same_snow(series())


def test_numbers_that_nobody_states_are_refused_and_the_hint_works(icectl, series, tmp_path):
    for day in DAYS:
        for name, values in (("green", GREEN), ("swir16", SWIR)):
            write(tmp_path / "in" / f"T43RFP_{day}_{name}.tif", numbers(values, 1e-4, -0.1), nodata=0)
    where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "no"))
    refused = icectl("prepare", "convlstm", *where, *FLAGS, ok=False)
    assert refused.code != 0
    assert "nothing says what they mean" in refused.err
    assert "--scale and --offset" in " ".join(refused.err.split())
    masks = series("--scale", "0.0001", "--offset", "-0.1")
    same_snow(masks)


@pytest.mark.parametrize("kind", ["level 1", "floats"])
def test_what_is_no_reflectance_is_refused(icectl, tmp_path, kind):
    for day in DAYS:
        for layer, name, values in (("B3", "green", GREEN), ("B6", "swir16", SWIR)):
            stem = f"LC08_L1TP_147038_{day}_20220726_02_T1_{layer}" if kind == "level 1" else f"{day}_{name}"
            dtype = "uint16" if kind == "level 1" else "float32"
            write(tmp_path / "in" / f"{stem}.tif", numbers(values, 1e-4, -0.1, dtype))
    where = ("--scenes", str(tmp_path / "in"), "--workspace", str(tmp_path / "ws"))
    refused = icectl("prepare", "convlstm", *where, *FLAGS, ok=False)
    assert refused.code != 0
    assert ("Landsat Level-1" if kind == "level 1" else "cannot be a share of one") in refused.err


def test_impossible_reflectance_is_missing_and_said(series, tmp_path):
    for day in DAYS:
        spoiled = SWIR.astype(np.float32)
        spoiled[:, :8] = -9999
        write(tmp_path / "in" / f"{day}_green.tif", GREEN.astype(np.float32))
        write(tmp_path / "in" / f"{day}_swir16.tif", spoiled)
    masks = series()
    assert np.isnan(masks).mean() == 8 / SIZE


@pytest.mark.parametrize(
    ("layer", "cloud"), [("scl", 9), ("fmask", 4), ("qa60", 1 << 10), ("qa_pixel", 1 << 3)]
)
def test_quality_layers_by_name(series, tmp_path, layer, cloud):
    clear = {"scl": 4, "fmask": 0, "qa60": 0, "qa_pixel": 1 << 6}[layer]
    flags = np.full((SIZE, SIZE), clear, np.uint16)
    flags[:, : SIZE // 2] = cloud
    for day in DAYS:
        write(tmp_path / "in" / f"{day}_green.tif", GREEN.astype(np.float32))
        write(tmp_path / "in" / f"{day}_swir16.tif", SWIR.astype(np.float32))
        write(tmp_path / "in" / f"{day}_{layer}.tif", flags)
    masks = series()
    assert np.isnan(masks[:, :, : SIZE // 2]).all()
    assert np.isfinite(masks[:, :, SIZE // 2 :]).all()
