"""Gap filling, NDSI and compositing of 35 frames: time and memory at three sizes, and plain xarray.

Each size runs in a process of its own: 35 scenes of two bands (uint16 numbers, a tenth of the pixels
missing, at random and in scan lines) become quarterly composites with one quarter to interpolate.
Scenes wait on disk between the two steps, as in ``icectl prepare``; making them is not timed.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import numpy as np
from common import QUICK, Row, bound, compare, finish, in_fresh_process, sizes

FRAMES = 35
DATES = [date(2013 + k // 12, k % 12 + 1, 10) for k in range(FRAMES + 3) if k // 3 != 5]

WHOLE = """
import sys; sys.path.insert(0, {here!r})
from compositing import pipeline
pipeline(int(sys.argv[1]))
"""


def scene(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return green and short-wave infrared numbers of one scene; 0 is missing."""
    rng = np.random.default_rng(seed)
    tile = rng.integers(9000, 40000, size=(2, 500, 500), dtype=np.uint16)
    tile[:, rng.random((500, 500)) < 0.08] = 0
    tile[:, seed % 50 :: 50] = 0
    green, swir = np.tile(tile, (1, -(-size // 500), -(-size // 500)))[:, :size, :size]
    return green, swir


def pipeline(size: int) -> None:
    """Run the two steps at one size and print the seconds that each took."""
    import json
    from time import perf_counter, process_time

    from icectl.imagery.composite import composite_strips
    from icectl.imagery.gaps import fill_gaps
    from icectl.imagery.indices import ndsi
    from icectl.imagery.periods import plan_periods

    filling = compositing = work = 0.0
    with tempfile.TemporaryDirectory(prefix="icectl-bench-") as name:
        folder = Path(name)
        for k in range(len(DATES)):
            bands = scene(size, k)
            started, used = perf_counter(), process_time()
            filled = [
                fill_gaps(np.where(band == 0, np.nan, band * np.float32(2.75e-5) - np.float32(0.2)))
                for band in bands
            ]
            index = ndsi(filled[0][0], filled[1][0])
            index.tofile(folder / f"{k}.index")
            (filled[0][1] | filled[1][1]).tofile(folder / f"{k}.filled")
            filling += perf_counter() - started
            work += process_time() - used
            del bands, filled, index

        def read(k: int, rows: slice) -> tuple[np.ndarray, np.ndarray]:
            count, skip = (rows.stop - rows.start) * size, rows.start * size
            shape = (rows.stop - rows.start, size)
            values = np.fromfile(folder / f"{k}.index", np.float32, count, offset=4 * skip)
            made_up = np.fromfile(folder / f"{k}.filled", bool, count, offset=skip)
            return values.reshape(shape), made_up.reshape(shape)

        started, used = perf_counter(), process_time()
        periods = plan_periods(DATES, 3)
        with open(folder / "series", "wb") as out:
            for _, values, flags in composite_strips(read, periods, (size, size)):
                out.write(values)
                out.write(flags)
        compositing = perf_counter() - started
        work += process_time() - used
    print(json.dumps({"filling": filling, "compositing": compositing, "work": work}))


def against_xarray(size: int) -> Row:
    """Composite and interpolate arrays in memory, beside ``resample().mean()`` and ``interpolate_na``."""
    import xarray as xr

    from icectl.imagery.composite import composite_strips
    from icectl.imagery.periods import plan_periods

    rng = np.random.default_rng(0)
    stack = rng.random((len(DATES), size, size), dtype=np.float32)
    stack[rng.random(stack.shape, dtype=np.float32) < 0.1] = np.nan
    cube = xr.DataArray(stack, dims=("time", "y", "x"), coords={"time": np.array(DATES, "datetime64[ns]")})

    def other() -> np.ndarray:
        quarters = cube.resample(time="QS").mean(skipna=True)
        quarters = quarters.assign_coords(time=np.arange(quarters.sizes["time"]))
        return quarters.interpolate_na("time").to_numpy()

    def ours() -> np.ndarray:
        periods = plan_periods(DATES, 3)
        strips = composite_strips(lambda scene, rows: (stack[scene][rows], None), periods, (size, size))
        return np.concatenate([values for _, values, _ in strips], axis=1)

    np.testing.assert_allclose(ours(), other(), atol=1e-5)
    return compare(f"composite 35 × {size}×{size}", ours, other, against="plain xarray", rounds=3)


def main() -> None:
    """Measure time and memory at each size, then both sides."""
    rows, per_pixel = [], []
    every = sizes(1000, 2000, 4000)
    code = WHOLE.format(here=str(Path(__file__).parent))
    for size in every:
        found = in_fresh_process(code, str(size))
        total = found["filling"] + found["compositing"]
        per_pixel.append(found["work"] / (FRAMES * size * size) * 1e9)
        note = f"{total:.1f} s: gaps and NDSI {found['filling']:.1f}, composites {found['compositing']:.1f}"
        rows.append(bound(f"peak memory, 35 × {size}×{size}", found["peak_mb"], 2048, "MB", note=note))
    if not QUICK:
        growth, note = per_pixel[-1] / per_pixel[0], ", ".join(f"{p:.0f} ns" for p in per_pixel)
        label = f"processor time per pixel, {every[-1]} over {every[0]}"
        rows.append(bound(label, growth, 1.5, "", against="linear growth (1.5 at most)", note=note))
    rows += [against_xarray(size) for size in sizes(200, 400, 800)]
    finish("compositing", rows, ("xarray", "opencv-python-headless"))


if __name__ == "__main__":
    main()
