"""A trained front network on scenes as they are delivered, and on images that hold no front: ``--help``.

    python benchmarks/studies/fronts_any_pose.py --run RUN --glacier jakobshavn [--kinds | --tones | --large]

Images of Mohajerani et al. 2019 (ice flows up, 49 m a pixel) are turned to a bearing drawn at random and
resampled to 15 or 30 m, north up, in three CRSs by turns or without one (black margins, metres in a table);
the true front moves with them. `icectl predict` runs on them from the terminal; its lines are scored in the
pixels of the delivered image. RUN has left the glacier out, as the experiments mohajerani2019-GLACIER do.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine
from scipy.spatial import cKDTree

from icectl.intervals import mean_interval
from icectl.settings import load_experiment
from icectl.tasks.front.baselines import ACROSS, BETWEEN_ENDS, STRAIGHT, baselines, training_facts
from icectl.tasks.front.dataset import Place
from icectl.tasks.front.files.images import read_image
from icectl.tasks.front.files.labels import read_label
from icectl.tasks.front.files.pairs import find_pairs
from icectl.tasks.front.files.records import read_records
from icectl.tasks.front.line.lines import Line, clip, resample, transform
from icectl.tasks.front.line.reliability import calibration_error, risk_area
from icectl.tasks.front.metrics import score
from icectl.tasks.front.pose.frame import frame_of, metres_per_pixel
from icectl.tasks.front.pose.pose import posed

PLACES = {"jakobshavn": (-49.8, 69.17), "kangerlussuaq": (-33.0, 68.6), "sverdrup": (-58.1, 75.6)}
UTM = {"jakobshavn": "EPSG:32622", "kangerlussuaq": "EPSG:32624", "sverdrup": "EPSG:32621"}
METRES = 49.0
WRONG = 500.0
BLACK, RANGE = 0, (20, 255)
"""Grey of margins, and of the darkest and the brightest pixel, in images without a CRS."""


@dataclass
class Scene:
    """One image (rows, columns) with its true front, if it has one, and its metres a pixel."""

    name: str
    image: np.ndarray
    line: Line | None
    metres: float


def originals(data: Path, glacier: str, most: int) -> list[Scene]:
    """Return the glacier's images as they lie, spread evenly over its dates."""
    codes = load_experiment("mohajerani2019").fetch["wrs_glaciers"]
    pairs = find_pairs(data / "images", data / "labels_1px", wrs_glaciers=codes)
    own = [pair for pair in pairs if pair.facts["glacier"] == glacier]
    chosen = np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))
    scenes = []
    for pair in (own[k] for k in chosen):
        image, _ = read_image(pair.image)
        scenes.append(
            Scene(pair.id, image, read_label(pair.label, image.shape, None, "line").lines[0], METRES)
        )
    return scenes


def turned(scenes: list[Scene], seed: int) -> Iterator[Scene]:
    """Yield each scene at 15 or 30 m, its ice flowing to a bearing drawn at random."""
    rng, own = np.random.default_rng(seed), np.diag([METRES, -METRES])
    for scene in scenes:
        metres, bearing = float(rng.choice([15.0, 30.0])), float(rng.uniform(0, 360))
        pose = posed(scene.image.shape, own, -bearing % 360, metres)
        yield Scene(scene.name, pose.show(scene.image), pose.to_view(scene.line), metres)


def place_of(crs: str, centre: tuple[float, float], shape: tuple[int, int], metres: float) -> Place:
    """Return a north-up place of so many metres on the ground a pixel."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*centre)
    side = metres
    for _ in range(3):
        place = Place(crs, (side, 0.0, x - side * shape[1] / 2, 0.0, -side, y + side * shape[0] / 2))
        side *= metres / metres_per_pixel(frame_of(place, shape))
    return place


def write(scenes: list[Scene], folder: Path, glacier: str | None) -> list[str]:
    """Write scenes as GeoTIFFs and, every fourth, as PNG; return further words for the command."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, scene in enumerate(scenes):
        low, high = np.nanpercentile(scene.image, (0, 100))
        grey = np.round(np.interp(scene.image, (low, high), RANGE))
        grey = np.where(np.isfinite(scene.image), grey, BLACK).astype(np.uint8)
        if glacier is None or number % 4 == 3:
            cv2.imwrite(str(folder / "images" / f"{scene.name}.png"), grey)
            rows.append({"image": scene.name, "resolution": scene.metres})
            continue
        crs = ("EPSG:3413", UTM[glacier], "EPSG:3857")[number % 4]
        place = place_of(crs, PLACES[glacier], grey.shape, scene.metres)
        path, (height, width) = folder / "images" / f"{scene.name}.tif", grey.shape
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": BLACK, "crs": crs}
        grid = {"height": height, "width": width, "transform": Affine(*place.transform)}
        with rasterio.open(path, "w", **profile, **grid) as file:
            file.write(grey, 1)
    if not rows:
        return []
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "resolution"])
        writer.writeheader()
        writer.writerows(rows)
    return ["--table", str(folder / "table.csv")]


def predicted(scenes: list[Scene], run: list[str], glacier: str | None, *words: str) -> dict[str, dict]:
    """Return the records that ``icectl predict`` leaves of the scenes, by name."""
    with tempfile.TemporaryDirectory() as space:
        more = write(scenes, Path(space) / "in", glacier)
        command = [sys.executable, "-m", "icectl", "predict", "front-unet", *run, *more, *words]
        command += ["--scenes", f"{space}/in/images", "--workspace", f"{space}/work"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        records = read_records(Path(said.strip().splitlines()[-1]))
        return {record["image"]: record for record in records}


def error_of(scene: Scene, record: dict) -> float:
    """Return the mean distance from the true front in metres; NaN where no front was found."""
    lines = [np.asarray(front["line"]) for front in record["fronts"]]
    if not lines:
        return float("nan")
    frame = np.diag([scene.metres, -scene.metres])
    truth = [scene.line] if scene.line is not None else []
    error = score(lines, truth, scene.image.shape, None, frame)
    return float(error.pooled_m.mean()) if len(error.pooled_m) else float("inf")


def measured(scenes: list[Scene], records: dict[str, dict]) -> dict[str, object]:
    """Return what a row of the table holds; distances are in pixels of 49 m."""
    fronts = [records[scene.name]["fronts"] for scene in scenes]
    errors = [error_of(scene, records[scene.name]) for scene in scenes]
    sure = [max((front["confidence"] for front in own), default=0.0) for own in fronts]
    flagged = [not own or any(front["doubt"] for front in own) for own in fronts]
    metres, sure, flagged = np.array(errors), np.array(sure), np.array(flagged)
    right, found = metres <= WRONG, np.isfinite(metres)
    clear, pixels = found & ~flagged, metres / METRES
    return {
        "images": len(scenes),
        "mean px": round(float(pixels[found].mean()), 1),
        "95 %": mean_interval(np.column_stack([pixels[found], np.ones(found.sum())]), draws=1000, seed=0),
        "median px": round(float(np.median(pixels[found])), 1),
        "wrong": int((~right & found).sum()),
        "no front": int((~found).sum()),
        "wrong flagged": f"{int((flagged & ~right).sum())} of {int((~right).sum())}",
        "right flagged": f"{int((flagged & right).sum())} of {int(right.sum())}",
        "not flagged: mean px": round(float(pixels[clear].mean()), 1) if clear.any() else None,
        "not flagged: share": round(float(clear.mean()), 2),
        "calibration error": round(calibration_error(sure, right), 2),
        "risk area": round(risk_area(sure[found], pixels[found]), 2),
    }


def simple(scenes: list[Scene], others: list[Scene]) -> Iterator[dict[str, object]]:
    """Yield a row for each simple method; it knows the pose, and the fronts of the other glaciers' images."""
    facts = training_facts([(scene.line, scene.image.shape) for scene in others])
    own = np.diag([METRES, -METRES])
    drawn = [baselines(scene.image, posed(scene.image.shape, own, 0.0, METRES), facts) for scene in scenes]
    for name in (STRAIGHT, BETWEEN_ENDS, ACROSS):
        records = {
            scene.name: {"fronts": [{"line": line} for line in lines[name]]}
            for scene, lines in zip(scenes, drawn, strict=True)
        }
        pixels = np.array([error_of(scene, records[scene.name]) for scene in scenes]) / METRES
        yield {
            "baseline": name,
            "mean px": round(float(pixels.mean()), 1),
            "95 %": mean_interval(np.column_stack([pixels, np.ones(len(pixels))]), draws=1000, seed=0),
            "median px": round(float(np.median(pixels)), 1),
            "wrong": int((pixels * METRES > WRONG).sum()),
        }


def kinds(scenes: list[Scene], data: Path, seed: int) -> Iterator[tuple[str, list[Scene]]]:
    """Yield images that are unlike the training's, by kind; those without a front have no line."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Scene]] = {}
    for scene in scenes:
        image, line, rows = scene.image, scene.line, scene.line[:, 0]
        middle = int(line[:, 1].mean())
        small = (image.shape[1] // 4, image.shape[0] // 4)
        half = clip(line, (image.shape[0], middle))
        own = {
            "no water (ice alone)": (image[int(rows.max()) + 12 :], None, METRES),
            "no ice (sea alone)": (image[: max(20, int(rows.min()) - 12)], None, METRES),
            "half outside the fjord": (image[:, :middle], half[0] if half else None, METRES),
            "stripes of Landsat 7 (5 of every 20 rows)": (striped(image), line, METRES),
            "speckle of four looks, as radar": (image * rng.gamma(4, 0.25, image.shape), line, METRES),
            "thick cloud": (cloud(rng, image), None, METRES),
            "coarse (196 m a pixel)": (
                cv2.resize(image, small, interpolation=cv2.INTER_AREA),
                None,
                4 * METRES,
            ),
        }
        for kind, (part, true, metres) in own.items():
            if min(part.shape) >= 16:
                parts.setdefault(kind, []).append(Scene(scene.name, part, true, metres))
    land = sorted(
        [
            *(data.parent / "everest_landsat7").rglob("*.tif"),
            *(data.parent / "landsat_c2l2").rglob("*B[36].TIF"),
        ]
    )
    for path in land:
        with rasterio.open(path) as file:
            image = file.read(min(3, file.count)).astype(np.float32)
        tiles = [image[:300, :300], image[-300:, -300:]]
        for number, tile in enumerate(tiles):
            if (tile > 0).mean() > 0.9:
                parts.setdefault("mountains and plains", []).append(
                    Scene(f"{path.stem}_{number}", tile, None, 30.0)
                )
    yield from parts.items()


def tones(scenes: list[Scene], seed: int) -> Iterator[tuple[str, list[Scene]]]:
    """Yield the scenes as other sensors and stretches show them, by kind."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Scene]] = {}
    for scene in scenes:
        image = grey(scene.image).astype(np.float64)
        own = {
            **{f"to the power {power:g}": image**power for power in (1, 0.3, 0.5, 2, 3)},
            "brightest 40 % saturated": np.minimum(image, np.quantile(image, 0.6)),
            "darkest 30 % black": np.maximum(image, np.quantile(image, 0.3)),
            "histogram equalised": image.ravel().argsort().argsort().reshape(image.shape),
            "radar amplitude, four looks": np.sqrt((image**2 + 0.02) * rng.gamma(4, 1 / 4, image.shape)),
            "radar in decibels, eight looks": 10
            * np.log10((image**2 + 0.01) * rng.gamma(8, 1 / 8, image.shape)),
        }
        for kind, changed in own.items():
            parts.setdefault(kind, []).append(Scene(scene.name, changed, scene.line, scene.metres))
    yield from parts.items()


CELL, BORDER = 340, 25
"""Side of a glacier's cell in pixels of 49 m, and of a crop's border that fades into the land."""


def large(scenes: list[Scene], data: Path, seed: int) -> tuple[np.ndarray, list[Line]]:
    """Return mountains of 49 m with a turned glacier in two of three cells, and its fronts."""
    rng = np.random.default_rng(seed)
    with rasterio.open(data.parent / "everest_landsat7" / "LE71400412000304SGS00_RGB.tif") as file:
        land = cv2.resize(file.read(1).astype(np.float32), None, fx=30 / METRES, fy=30 / METRES)
    side = int(np.ceil(np.sqrt(1.5 * len(scenes))))
    more = [(0, max(0, side * CELL - length)) for length in land.shape]
    whole = np.pad(grey(land), more, "reflect")[: side * CELL, : side * CELL]
    lines = []
    for scene, cell in zip(scenes, rng.permutation(side * side), strict=False):
        corner, (rows, columns) = CELL * np.array(divmod(int(cell), side)), scene.image.shape
        turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), float(rng.uniform(0, 360)), 1.0)
        turn[:, 2] += (CELL - np.array([columns, rows])) / 2
        inside = cv2.warpAffine(np.ones((rows, columns), np.float32), turn, (CELL, CELL))
        inside = cv2.GaussianBlur(cv2.erode(inside, np.ones((BORDER, BORDER))), (0, 0), BORDER / 4)
        moved = cv2.warpAffine(grey(scene.image), turn, (CELL, CELL), borderMode=cv2.BORDER_REFLECT_101)
        own = whole[corner[0] : corner[0] + CELL, corner[1] : corner[1] + CELL]
        own += inside * (moved - own)
        lines.append(np.add(transform(scene.line, turn), corner))
    return whole, lines


def grey(image: np.ndarray) -> np.ndarray:
    """Return an image between its 0.5 and 99.5 percentiles as 0…1."""
    low, high = np.nanpercentile(image, (0.5, 99.5))
    return np.clip((image - low) / (high - low), 0, 1).astype(np.float32)


def large_row(lines: list[Line], record: dict) -> dict[str, object]:
    """Return how many fronts of a large scene are found, and how many of what is found is none."""
    found = [(np.asarray(front["line"]), bool(front["doubt"])) for front in record["fronts"]]
    near = [min((METRES * distance(line, true), k) for k, true in enumerate(lines)) for line, _ in found]
    right = [(k, doubt) for (metres, k), (_, doubt) in zip(near, found, strict=True) if metres <= WRONG]
    return {
        "glaciers": len(lines),
        "found": len({k for k, _ in right}),
        "of them not flagged": len({k for k, doubt in right if not doubt}),
        "false": len(found) - len(right),
        "false and not flagged": sum(not doubt for _, doubt in found) - sum(not doubt for _, doubt in right),
    }


def distance(line: Line, true: Line) -> float:
    """Return the mean distance of a line's points to another's, both ways, in pixels."""
    ends = [cKDTree(resample(b)).query(resample(a))[0].mean() for a, b in ((line, true), (true, line))]
    return float(np.mean(ends))


def cloud(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return an image under a cloud that hides nearly all of it."""
    layers = [
        cv2.resize(rng.random((n, n), np.float32), image.shape[::-1], interpolation=cv2.INTER_CUBIC) / n
        for n in (3, 6, 12, 24, 48)
    ]
    shape = sum(layers)
    bright = 0.75 + 0.25 * (shape - shape.min()) / np.ptp(shape)
    return np.asarray(0.05 * image + 0.95 * bright * float(np.nanpercentile(image, 99)), np.float32)


def striped(image: np.ndarray) -> np.ndarray:
    """Return an image with gaps like those of the broken scan-line corrector: 5 of every 20 rows, aslant."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.where((rows + 0.14 * columns) % 20 < 5, np.float32(np.nan), image)


def kind_row(kind: str, scenes: list[Scene], records: dict[str, dict]) -> dict[str, object]:
    """Return how many images of a kind have no front, a right one, and a wrong one that is not flagged."""
    errors = [error_of(scene, records[scene.name]) for scene in scenes]
    right = [scene.line is not None and error <= WRONG for scene, error in zip(scenes, errors, strict=True)]
    clear = [any(not f["doubt"] for f in records[scene.name]["fronts"]) for scene in scenes]
    return {
        "kind": kind,
        "images": len(scenes),
        "no front": int(np.isnan(errors).sum()),
        "right": sum(right),
        "wrong and not flagged": sum(sure and not good for sure, good in zip(clear, right, strict=True)),
    }


def main() -> None:
    """Print the tables as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", help="a run, or nothing for the weights that ship")
    parser.add_argument("--weights", help="weights by name, file or folder, in place of a run")
    parser.add_argument("--glacier", choices=sorted(PLACES), default="jakobshavn")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fronts_mohajerani2019"))
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kinds", action="store_true", help="images of other kinds instead")
    parser.add_argument("--tones", action="store_true", help="other brightness, upright, instead")
    parser.add_argument("--large", action="store_true", help="one large scene of all images instead")
    parser.add_argument("--baselines", action="store_true", help="the simple methods, upright, instead")
    given = parser.parse_args()
    asked = {"--run": given.run, "--weights": given.weights}
    run = [word for flag, value in asked.items() if value for word in (flag, value)]
    scenes = originals(given.data, given.glacier, given.images)
    if given.kinds:
        for kind, own in kinds(scenes, given.data, given.seed):
            place = given.glacier if "stripes" in kind else None  # declared as missing
            print(json.dumps(kind_row(kind, own, predicted(own, run, place))), flush=True)
        return
    if given.tones:
        for kind, own in tones(scenes, given.seed):
            row = measured(own, predicted(own, run, None, "--flow", "up"))
            print(json.dumps({"kind": kind, **row}), flush=True)
        return
    if given.large:
        image, lines = large(scenes, given.data, given.seed)
        record = predicted([Scene("large", image, None, METRES)], run, None)["large"]
        print(json.dumps({"glacier": given.glacier, **large_row(lines, record)}))
        return
    if given.baselines:
        others = [s for g in sorted(PLACES) if g != given.glacier for s in originals(given.data, g, 1000)]
        for row in simple(scenes, others):
            print(json.dumps({"glacier": given.glacier, **row}), flush=True)
        return
    delivered = list(turned(scenes, given.seed))
    for pose, own, records in (
        ("upright, told", scenes, predicted(scenes, run, None, "--flow", "up")),
        ("any, found", delivered, predicted(delivered, run, given.glacier)),
    ):
        print(json.dumps({"glacier": given.glacier, "pose": pose, **measured(own, records)}), flush=True)


if __name__ == "__main__":
    main()
