"""Velocity: true on the synthetic glacier, between walls that stand still, and averaged from many pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from icectl.errors import DataError
from icectl.settings import Glacier
from icectl.tasks.flow.dataset import open_dataset
from icectl.tasks.flow.options import PredictOptions
from icectl.tasks.flow.predict import map_velocity
from icectl.tasks.flow.velocity import averaging, displacement, refining
from icectl.tasks.flow.velocity import measure as measuring
from icectl.tasks.flow.velocity.averaging import YEAR, Mean, agreeing, combine, finest
from icectl.tasks.flow.velocity.confirm import coherent
from icectl.tasks.flow.velocity.displacement import chip_sizes, displace
from icectl.tasks.flow.velocity.measure import centres, choose_pairs, measure
from icectl.tasks.flow.velocity.quality import velocity_table

from .conftest import make_run

FAST = 50.0
"""Metres a year below which ice moves less than a pixel in the series."""


@pytest.fixture(scope="module")
def fjord(tmp_path_factory, model):
    """The demo's fjord glacier in one band, fetched and prepared, its true velocity, and its folder."""
    root = tmp_path_factory.mktemp("fjord")
    options = {
        "fetch": {"bands": ("green",)},
        "prepare": {"chip": 16, "chips": 20},
    }
    glacier = Glacier(name="demo", source="synthetic")
    run = make_run("fetch", root / "fetch", options=options, glacier=glacier)
    model.fetch(run, run.options["fetch"])
    run = make_run("prepare", root / "prepare", {"fetch": root / "fetch"}, options, glacier=glacier)
    model.prepare(run, run.options["prepare"])
    truth = [rasterio.open(root / "fetch" / "truth" / f"{name}.tif").read(1) for name in ("vx", "vy")]
    return open_dataset(root / "prepare"), truth, root / "fetch"


def test_velocity_of_the_synthetic_glacier_is_true_within_a_twentieth(fjord, tmp_path):
    sequences, truth, _ = fjord
    options = PredictOptions()
    found = map_velocity(make_run("predict", tmp_path), sequences, options)
    at = tuple(np.moveaxis(centres(sequences.grid.shape, options), -1, 0))
    true, speed = np.hypot(truth[0][at], truth[1][at]), np.hypot(found.vx, found.vy)
    on_ice = sequences.array("ice")[at]
    moving = on_ice & (true > FAST)
    known = moving & np.isfinite(speed)
    assert known.sum() > 0.9 * moving.sum() > 100
    assert np.median(speed[known] / true[known]) == pytest.approx(1, abs=0.05)
    along = (found.vx * truth[0][at] + found.vy * truth[1][at])[known] / true[known] ** 2
    assert np.median(along) == pytest.approx(1, abs=0.05)
    fastest = known & (true > 300)
    assert np.median(speed[fastest] / true[fastest]) > 0.95
    off = np.hypot(found.vx - truth[0][at], found.vy - truth[1][at])[known] / true[known]
    assert np.median(off) < 0.14  # a cell's own error, most of it on the slow margins
    still = np.isfinite(speed) & ~on_ice
    assert np.median(speed[still]) < 15
    assert (found.chip[known] >= options.velocity_chip).all()
    apart = found.layers - np.stack([truth[0][at], truth[1][at]], axis=-1)
    for cells in (on_ice, ~on_ice):  # of each pair by itself
        told = (apart / found.layer_errors[..., None])[:, cells]
        told = told[np.isfinite(told)]
        assert 0.6 < (abs(told) < 1).mean() < 0.85
        assert np.sqrt((told**2).mean()) < 2.5


def unfiltered(image, width, valid):
    return np.where(valid, image, 0).astype(np.float32)


def test_walls_in_the_chips_would_spoil_it(fjord, tmp_path, monkeypatch):
    """With chips of 32 pixels that do not tell ice from ground, as at first, most of the speed is lost."""
    sequences, truth, _ = fjord
    monkeypatch.setattr(displacement, "wallis", unfiltered)
    monkeypatch.setattr(refining, "wallis", unfiltered)
    monkeypatch.setattr(displacement, "SIZES", 1)
    blind = replace(sequences, data=sequences.data.drop_vars("ice"))
    options = PredictOptions(velocity_chip=32, pairs=4)
    found = map_velocity(make_run("predict", tmp_path), blind, options)
    at = tuple(np.moveaxis(centres(sequences.grid.shape, options), -1, 0))
    true, speed = np.hypot(truth[0][at], truth[1][at]), np.hypot(found.vx, found.vy)
    known = sequences.array("ice")[at] & (true > FAST) & np.isfinite(speed)
    assert np.median(speed[known] / true[known]) < 0.7


def tongue(days, width=12.0, fastest=0.07):
    """Frames of a tongue of two half-widths whose speed falls to its sides, and where it is.

    Moves down by `fastest` pixels a day in the middle, between walls with texture of their own.
    """
    noise = np.random.default_rng(0).standard_normal((2, 160, 132))
    ice, walls = (ndimage.gaussian_filter(n, 1.5, mode="wrap") for n in noise)
    rows, cols = np.mgrid[:160, :132].astype(np.float64)
    profile = fastest * np.clip(1 - ((cols - 66) / width) ** 2, 0, None)
    frames = [
        np.where(
            profile > 0,
            ndimage.map_coordinates(ice, (rows - profile * day, cols), order=3, mode="grid-wrap"),
            3 * walls,
        )
        for day in days
    ]
    return np.asarray(frames, np.float32) * 100 + 500, profile > 0


def test_refining_wins_back_speed_in_the_middle_of_a_narrow_tongue(monkeypatch):
    """Chips of 12 pixels on a tongue of 24 see a mean over its sides; deforming frames first tells more."""
    days = np.array([0, 16, 40, 64, 96], np.float32)
    frames, ice = tongue(days)
    none = np.zeros(frames.shape, dtype=bool)
    options = PredictOptions(pairs=6)
    middle = 0.07 * YEAR

    def along(cells):
        found = measure(frames, ~none, none, ice, days, (1.0, 1.0), options)
        at = cells[..., 1] == 66
        inner = at & (cells[..., 0] > 30) & (cells[..., 0] < 130)
        return -found.vy[inner] / middle

    cells = centres(frames.shape[1:], options)
    refined = along(cells)
    assert len(refined) >= 8
    assert np.median(refined) == pytest.approx(1, abs=0.07)
    unknown = np.full((6, *cells.shape), np.nan)
    monkeypatch.setattr(
        measuring, "refine", lambda stack, kind, cells, mean, options, tick: (mean, unknown, unknown[..., 0])
    )
    plain = along(cells)
    assert 1 - np.median(refined) < 0.7 * (1 - np.median(plain))


def test_noise_is_taken_out_of_two_frames_and_told_by_their_error(monkeypatch):
    """Sheared ice in noise of half its texture: nearer to the truth than cell by cell, error honest."""
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal((168, 168)), 1.5)
    texture /= texture.std()
    rows, cols = np.mgrid[:168, :168].astype(np.float64)
    down = 2 + 2 * cols / 168
    frames = [
        ndimage.map_coordinates(texture, (rows - part * down, cols), order=3, mode="reflect")
        + 0.5 * rng.standard_normal(texture.shape)
        for part in (-0.5, 0.5)
    ]
    every = np.ones((2, 168, 168), dtype=bool)
    options = PredictOptions(velocity_reach=6)
    at = tuple(np.moveaxis(centres((168, 168), options), -1, 0))

    def measured():
        days = np.array([0, YEAR], np.float32)
        found = measure(np.asarray(frames, np.float32), every, ~every, None, days, (1.0, 1.0), options)
        known = np.isfinite(found.vx)
        return np.hypot(found.vx, -found.vy - down[at])[known], found.error[known]

    off, error = measured()
    assert 0.5 < np.median(error) / np.sqrt((off**2).mean() / 2) < 1.5
    monkeypatch.setattr(refining, "calm", lambda velocity, noise, *rest: (velocity, noise))
    monkeypatch.setattr(refining, "emphasise", lambda images, masks: (images, 1.0))
    assert np.median(off) < 0.6 * np.median(measured()[0])


def test_a_cell_unlike_its_neighbours_does_not_lead_them_astray():
    """An outlier becomes its neighbours' median; a steady rise, unknown cells and small departures stay."""
    values = np.stack([np.tile(np.arange(8.0), (7, 1)), np.zeros((7, 8))], axis=-1)
    known = np.ones((7, 8), dtype=bool)
    known[0, 0] = False
    assert (refining._soothed(values, known, 0.5) == values).all()
    wrong = values.copy()
    wrong[3, 4] = 40, 0
    soothed = refining._soothed(wrong, known, 0.5)
    assert soothed[3, 4].tolist() == [4, 0]
    assert (soothed == values).all()


def test_what_is_measured_again_with_a_much_larger_error_is_not_taken():
    def mean(value, error):
        return Mean(*(np.full((1, 3), v) for v in (value, 0.0, error, 2, 12)))

    old, new = mean(1.0, 1.0), mean(2.0, 9.0)
    new.down[0, 2] = np.nan
    error = np.array([[1.2, 1.6, 1.2]])
    assert refining._merge(new, old, 1, error).down.tolist() == [[2, 1, 1]]


def test_chips_grow_only_where_small_ones_fail(monkeypatch):
    """A stretch without fine texture is matched by larger chips; the rest keeps small ones."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((160, 160)).astype(np.float32)
    second = np.roll(first, (2, -3), (0, 1))
    noise = 4 * rng.standard_normal(first.shape).astype(np.float32)
    second[:, 90:] += noise[:, 90:]
    seen = np.ones(first.shape, dtype=bool)
    monkeypatch.setattr(displacement, "wallis", unfiltered)
    options = PredictOptions(velocity_chip=8, spacing=8)
    assert chip_sizes(options) == [8, 16, 32]
    cells = centres(first.shape, options)
    found = displace(first, second, (seen, seen), [seen], cells, options)
    small = found.chip == 8
    assert small[1:-1, 1:9].mean() > 0.95
    assert np.median(found.chip[:, 13:][found.chip[:, 13:] > 0]) > 8
    right = np.isfinite(found.pixels[..., 0])
    assert np.abs(found.pixels[right] - [2, -3]).max() < 0.5
    assert (found.weight > 0).tolist() == right.tolist()


def test_smallest_chips_alone_count():
    chips = np.array([[[12, 0, 48]], [[24, 0, 24]]])
    chip, weights = finest(chips, np.ones(chips.shape))
    assert chip.tolist() == [[12, 0, 24]]
    assert weights[:, 0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_long_spans_that_contradict_short_ones_are_left_out():
    spans = np.array([10.0, 40.0, 200.0])
    speed = np.array([[40.0, 0.0], [38.0, 1.0], [0.5, 0.0]])  # pixels a year: the last was held still
    layers = speed[:, None, None, :]
    assert agreeing(layers, spans)[:, 0, 0].tolist() == [True, True, False]
    slow = np.array([[4.0, 0.0], [1.5, 0.0], [1.0, 0.0]])[:, None, None, :]  # coarse at first, then finer
    assert agreeing(slow, spans).all()
    layers[0] = np.nan
    assert agreeing(layers, spans)[:, 0, 0].tolist() == [False, True, False]


def column(*errors):
    """Errors of pairs, the same in all cells."""
    return np.reshape(errors, (-1, 1, 1))


def test_mean_weighs_by_time_likeness_and_motion():
    spans = np.array([100.0, 200.0])
    velocity = np.array([[30.0, 0.0], [33.0, 0.0]])[:, None, None, :]
    likeness = np.array([1.0, 0.5])[:, None, None]
    mean = combine(velocity, likeness, np.full((2, 1, 1), 12), column(2.0, 1.0), spans)
    time = np.array([1.0, 4.0]) * [1.0, 0.5]
    first = (time * [30, 33]).sum() / time.sum()
    moved = (first * spans / YEAR) ** 2
    expected = time * moved / (moved + averaging.PEAK**2)
    assert mean.down[0, 0] == pytest.approx((expected * [30, 33]).sum() / expected.sum(), rel=1e-6)
    assert mean.count[0, 0] == 2
    assert mean.error[0, 0] > 0.5
    nothing = combine(
        np.full((2, 1, 1, 2), np.nan), np.zeros((2, 1, 1)), np.zeros((2, 1, 1), int), column(*spans), spans
    )
    assert np.isnan(nothing.down).all()
    assert np.isnan(nothing.error).all()


def test_no_pair_gives_no_velocity():
    none = np.zeros(0)
    mean = combine(np.zeros((0, 3, 4, 2)), np.zeros((0, 3, 4)), np.zeros((0, 3, 4), int), column(), none)
    assert mean.down.shape == (3, 4)
    assert np.isnan(mean.down).all()
    assert (mean.count == 0).all()


def test_pairs_have_short_and_long_spans():
    days = np.cumsum([0, 8, 8, 16, 24, 16, 8, 40, 24]).astype(np.float32)
    clear = np.zeros((9, 4, 4), dtype=bool)
    pairs = choose_pairs(days, clear, ~clear, PredictOptions(pairs=6))
    spans = [float(days[j] - days[i]) for i, j in pairs]
    assert len(set(pairs)) == 6
    assert spans == sorted(spans)
    assert spans[0] <= 8
    assert spans[-1] == days[-1]
    assert sum(20 < s < 100 for s in spans) >= 2
    assert choose_pairs(days, clear, ~clear, PredictOptions(shortest=500, longest=600)) == []


def test_chips_larger_than_the_frames_are_refused():
    with pytest.raises(DataError, match="64 pixels do not fit into frames of 60 × 200"):
        centres((60, 200), PredictOptions(velocity_chip=64))


def test_no_pair_of_the_asked_span_is_told(fjord, tmp_path):
    sequences, _, _ = fjord
    run = make_run("predict", tmp_path)
    found = map_velocity(run, sequences, PredictOptions(shortest=500, longest=600))
    assert np.isnan(found.vx).all()
    assert (tmp_path / "velocity.nc").is_file()
    assert any("no two frames lie 500 to 600 days apart" in said for said in run.notes["warnings"])


def test_ice_is_not_judged_by_the_ground_around_it():
    """A tongue one cell wide between still ground keeps its motion if cells are parted by kind."""
    dy, dx = np.zeros((2, 20, 21))
    tongue = np.zeros(dy.shape, dtype=bool)
    tongue[:, 9] = True
    dy[tongue] = 6
    assert not coherent(dy, dx, 16)[tongue].any()
    kept = coherent(dy, dx, 16, tongue)
    assert kept[tongue].all()
    assert not kept[~tongue].any()


def test_truth_is_shown_beside_the_velocity_of_the_synthetic_glacier(fjord, tmp_path):
    sequences, truth, scenes = fjord
    options = PredictOptions(pairs=2)
    (tmp_path / "predict").mkdir()
    found = map_velocity(make_run("predict", tmp_path / "predict"), sequences, options)
    inputs = {"fetch": scenes, "predict": tmp_path / "predict"}
    table = velocity_table(make_run("evaluate", tmp_path / "evaluate", inputs))
    at = tuple(np.moveaxis(centres(sequences.grid.shape, options), -1, 0))
    true, speed = np.hypot(truth[0][at], truth[1][at]), np.hypot(found.vx, found.vy)
    moving = sequences.array("ice")[at] & (true >= FAST)
    known = moving & np.isfinite(speed)
    row = table.rows[0].values
    assert row["cells"] == moving.sum()
    assert row["found"] == pytest.approx(known.sum() / moving.sum())
    assert row["ratio"] == pytest.approx(np.median(speed[known] / true[known]), rel=1e-4)
    assert sum(r.values["cells"] for r in table.rows[1:]) == row["cells"]
    inputs["fetch"] = tmp_path
    assert velocity_table(make_run("evaluate", tmp_path / "evaluate", inputs)) is None


def test_agreement_reaches_to_half_a_pixel_over_the_span_and_a_quarter_of_the_speed():
    spans = np.array([50.0, 100.0])
    slack = 0.5 * YEAR / 50 + 40 / 4  # of the mean so far, which is the shorter pair alone
    for off, kept in ((slack - 0.01, True), (slack + 0.01, False)):
        layers = np.array([[40.0, 0.0], [40.0 + off, 0.0]])[:, None, None, :]
        assert agreeing(layers, spans)[:, 0, 0].tolist() == [True, kept]


def test_the_error_of_a_mean_is_the_scatter_of_its_pairs_where_that_is_larger():
    """Two equal pairs that lie 2 d apart: the standard error of either component is d / √2."""
    d, spans = 3.0, np.array([100.0, 100.0])
    velocity = np.array([[300.0 - d, 0.0], [300.0 + d, 0.0]])[:, None, None, :]
    one = np.ones((2, 1, 1))
    mean = combine(velocity, one, np.full((2, 1, 1), 12), column(0.1, 0.1), spans)
    assert mean.error[0, 0] == pytest.approx(d / np.sqrt(2), rel=1e-3)
    quiet = combine(velocity, one, np.full((2, 1, 1), 12), column(8.0, 8.0), spans)
    assert quiet.error[0, 0] == pytest.approx(8 / np.sqrt(2), rel=1e-3)


def test_spans_are_aimed_at_evenly_in_logarithm():
    """Aims of three pairs of 3 to 100 days are 100, 17 and 3; each takes the nearest."""
    days = np.array([0.0, 10.0, 13.0, 100.0], np.float32)
    clear = np.zeros((4, 4, 4), dtype=bool)
    chosen = choose_pairs(days, clear, ~clear, PredictOptions(pairs=3))
    assert chosen == [(1, 2), (0, 2), (0, 3)]  # aims 100, 17.3 and 3 days; 13 days lie nearer to 17.3 than 10
