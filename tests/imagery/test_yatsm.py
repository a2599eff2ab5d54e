"""447 real dates of Landsat 5 and 7 with clouds, fill and saturation: seasonal means and gaps."""

import tarfile
from datetime import datetime, timedelta

import numpy as np
import pytest
from series import composite

from icectl.imagery import gaps, indices, qa
from icectl.imagery.composite import Flag

pytestmark = pytest.mark.realdata


def reflectances(numbers):
    """LEDAPS: ten thousandths; −9999 is fill, 16000 and 20000 are saturated."""
    return np.where(np.isin(numbers, (-9999, 16000, 20000)), np.nan, numbers * 1e-4).astype(np.float32)


@pytest.fixture(scope="module")
def series(shared_data, tmp_path_factory):
    """Dates, numbers ``(time, band, y, x)`` as stored."""
    import rasterio

    folder = tmp_path_factory.mktemp("yatsm")
    with tarfile.open(next((shared_data / "yatsm_p035r032").glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    files = sorted(folder.rglob("*.gtif"), key=lambda f: f.parent.name[9:16])
    dates, stack = [], []
    for file in files:
        year, day = int(file.parent.name[9:13]), int(file.parent.name[13:16])
        dates.append(datetime(year, 1, 1) + timedelta(days=day - 1))
        with rasterio.open(file) as src:
            stack.append(src.read())
    return dates, np.stack(stack)


@pytest.fixture(scope="module")
def snow(series):
    """NDSI per date, NaN where cloud, shadow, fill or saturation hides the ground."""
    dates, stack = series
    usable = qa.fmask(stack[:, 7])
    green, swir = (qa.keep(reflectances(stack[:, b]), usable) for b in (1, 4))
    return dates, indices.ndsi(green, swir)


def test_the_archive_is_whole_and_masks_find_its_flags(series):
    dates, stack = series
    assert len(dates) == 447
    assert dates[0].year == 1984
    assert dates[-1].year == 2013
    usable = qa.fmask(stack[:, 7])
    assert not usable[np.isin(stack[:, 7], [255, 4, 2, -9999])].any()
    assert usable[stack[:, 7] == 3].all()
    reflectance = reflectances(stack[:, 1])
    assert np.isnan(reflectance[stack[:, 1] == 16000]).all()
    assert np.isnan(reflectance[stack[:, 1] == -9999]).all()


def test_winter_is_snow_and_summer_is_not(snow):
    dates, index = snow
    months = np.array([d.month for d in dates])
    seen = ~np.isnan(index)
    mean = {m: index[months == m][seen[months == m]].mean() for m in (3, 6, 7, 8)}
    assert mean[3] == pytest.approx(0.50, abs=0.05)
    assert all(-0.50 < mean[m] < -0.30 for m in (6, 7, 8))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_quarters_agree_with_pandas(snow, statistic):
    pandas = pytest.importorskip("pandas")
    dates, index = snow
    result = composite(list(index), dates, 3, statistic)
    table = pandas.DataFrame(index.reshape(len(dates), -1).astype("f8"), index=pandas.DatetimeIndex(dates))
    expected = getattr(table.groupby(pandas.Grouper(freq="QS")), statistic)()
    seen = expected.notna().any(axis=1)
    expected = expected.loc[seen.idxmax() : seen[::-1].idxmax()]
    assert [p.start for p in result.periods] == [t.date() for t in expected.index]
    observed = (result.flags == Flag.OBSERVED).reshape(len(expected), -1)
    np.testing.assert_array_equal(observed, expected.notna().to_numpy())
    got = result.values.reshape(len(expected), -1)
    np.testing.assert_allclose(got[observed], expected.to_numpy()[observed], atol=1e-5)
    between = expected.reset_index(drop=True).interpolate("linear", limit_area="inside")
    np.testing.assert_allclose(got, between.to_numpy(), atol=1e-5)
    assert (result.flags == Flag.INTERPOLATED).any()


def test_partly_hidden_dates_are_filled_from_their_neighbours(snow):
    _, index = snow
    share = np.isnan(index).mean(axis=(1, 2))
    partly = index[(share > 0) & (share < 1)]
    assert len(partly) > 5
    for frame in partly:
        filled, made_up = gaps.fill_gaps(frame)
        assert not np.isnan(filled).any()
        np.testing.assert_array_equal(made_up, np.isnan(frame))
        assert filled.min() >= np.nanmin(frame) - 1e-6
        assert filled.max() <= np.nanmax(frame) + 1e-6
