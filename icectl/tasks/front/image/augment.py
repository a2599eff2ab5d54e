"""Augmentation, keyed by (seed, epoch, sample), with the edge drawn afterwards.

Only affine changes (Cheng et al. 2021: non-affine warps hurt): quarter turns, flips, transposes,
small rotations, scale, crops; then brightness, sharpening and noise. The front is moved as a
line and drawn when it has arrived, so that it keeps its width; a mask is moved as a raster and
its boundary is found afterwards.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icectl.tasks.front.image.layers import stack
from icectl.tasks.front.line.lines import Line, draw, transform

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How far to augment.

    `turns` allows quarter turns, transposes and flips of both axes; without it images are only
    mirrored left to right, for sets that are turned so that the ice flows upward. `angle` is the
    largest rotation in degrees, `scale` the largest zoom factor (and its inverse the smallest),
    `shift` the largest displacement as a share of the crop. `tone` scales changes of brightness; `contrast`
    is the share of crops in which glacier and ocean change brightness apart, so that neither is known by
    its tone; `astray` is the share of crops that are turned far out of the pose and then hold no edge, so
    that a network answers in its own pose alone (only where that pose is known); `stretch` is the largest
    ratio of zooms along two random axes (an affine shear). `sharpen`
    and `noise` are shares of crops, `speckle` that of crops which get a radar's. `width` is that of the drawn
    edge in pixels.
    """

    size: tuple[int, int] = (224, 224)
    turns: bool = True
    angle: float = 12.0
    scale: float = 1.15
    shift: float = 0.1
    tone: float = 1.0
    contrast: float = 0.5
    stretch: float = 1.3
    sharpen: float = 0.3
    noise: float = 0.3
    speckle: float = 0.0
    astray: float = 0.0
    width: int = 3


RECIPES = {
    "mild": Recipe(),
    "wide": Recipe(
        angle=25,
        scale=1.8,
        tone=1.2,
        contrast=0.3,
        stretch=1.6,
        sharpen=0.4,
        noise=0.4,
        speckle=0.2,
        astray=0.25,
    ),
    "calfin": Recipe(
        angle=12, scale=1.0, shift=0.07, tone=0, contrast=0, stretch=1.0, sharpen=0.2, noise=0.2
    ),
}
"""By the name that ``--augment`` takes; size, turns and width are those of the training."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of an image: the front's lines; a mask of ice (rows, columns) or None.

    `sides` is a pair of polygons (rows, columns) on the glacier's and the ocean's side of the
    front, for sets whose direction of flow is known; they stand in for a mask where there is none.
    """

    lines: tuple[Line, ...] = ()
    mask: NDArray[np.bool_] | None = None
    sides: tuple[Line, Line] | None = None


FAR = (np.pi / 3, 5 * np.pi / 3)
"""Turns in radians that are far out of the pose."""


def affine(
    rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, turn_by: float = 0.0
) -> NDArray[np.float64]:
    """Draw a 2×3 matrix from source (column, row) to crop (column, row); `turn_by` (radians) is added."""
    rows, columns = recipe.size
    flip = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    if recipe.turns:
        quarter = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), int(rng.integers(4)))
        flip = quarter @ flip  # the dihedral group: quarter turns, flips and transposes
    angle = np.deg2rad(rng.uniform(-recipe.angle, recipe.angle)) + turn_by
    zoom = float(np.exp(rng.uniform(-1, 1) * np.log(recipe.scale)))
    spin = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = np.pad(spin @ _stretched(rng, recipe.stretch) @ flip, ((0, 0), (0, 1)))
    source = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    spare = np.maximum(0, np.array([shape[1], shape[0]]) * zoom - [columns, rows]) / 2
    reach = spare + recipe.shift * np.array([columns, rows])
    target = np.array([(columns - 1) / 2, (rows - 1) / 2]) + rng.uniform(-1, 1, 2) * reach
    turn[:, 2] = target - turn[:, :2] @ source
    return turn


def _stretched(rng: np.random.Generator, most: float) -> NDArray[np.float64]:
    """Return a symmetric matrix of determinant 1 that stretches along a random axis."""
    if most <= 1:
        return np.eye(2)
    ratio, axis = float(np.exp(rng.uniform(0, np.log(most)) / 2)), rng.uniform(0, np.pi)
    turn = np.array([[np.cos(axis), -np.sin(axis)], [np.sin(axis), np.cos(axis)]])
    return np.asarray(turn @ np.diag([ratio, 1 / ratio]) @ turn.T)


def warp(layers: Floats, matrix: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """Move (bands, rows, columns) layers bilinearly; outside they are reflected."""
    bands = np.ascontiguousarray(np.moveaxis(layers, 0, -1))
    moved = cv2.warpAffine(
        bands, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.moveaxis(moved.reshape(*size, -1), -1, 0)


def retone(rng: np.random.Generator, layers: Floats, recipe: Recipe) -> Floats:
    """Change gain, offset, gamma and shading of all layers; sharpen and add noise at times."""
    unit = np.clip((layers + 1) / 2, 0, 1)
    if recipe.tone > 0:
        gamma = np.exp(rng.uniform(-0.6, 0.6) * recipe.tone)
        gain, offset = 1 + rng.uniform(-0.25, 0.25) * recipe.tone, rng.uniform(-0.15, 0.15) * recipe.tone
        unit = gain * unit**gamma + offset
        unit = unit + _shading(rng, unit.shape[1:], 0.15 * recipe.tone)
    if rng.random() < recipe.sharpen:
        blurred = np.stack([cv2.GaussianBlur(band, (0, 0), 1.0) for band in unit])
        unit = unit + rng.uniform(-0.8, 1.0) * (unit - blurred)  # below zero it blurs instead
    if rng.random() < recipe.noise:
        unit = unit + rng.normal(0, rng.uniform(0.005, 0.05), unit.shape)
    return np.asarray(unit * 2 - 1, np.float32)


LOOKS = (4.0, 32.0)
"""Looks of a radar image that are averaged in a pixel, fewest and most."""

DECIBELS = 25.0
"""Brightness of a radar image between its darkest and its brightest pixels."""


def speckled(rng: np.random.Generator, raw: Floats) -> Floats:
    """Return an image (rows, columns) in 0…1 with a radar's speckle: of intensities, or of decibels."""
    looks = float(np.exp(rng.uniform(*np.log(LOOKS))))
    grain = rng.gamma(looks, 1 / looks, raw.shape)
    if rng.random() < 0.5:
        return np.asarray(raw * grain, np.float32)
    return np.asarray(raw + 10 * np.log10(grain) / DECIBELS, np.float32)


def part_tones(rng: np.random.Generator, layers: Floats, goal: Floats) -> Floats:
    """Shift and scale brightness on the two sides of the front, each its own way.

    Which side is brighter differs between glaciers and seasons (open water, melange, snow); a
    network that relies on it fails on the next glacier. `goal` is `targets`' result.
    """
    known = goal[3] > 0
    changed = layers.copy()
    for side in (known & (goal[1] > 0), known & (goal[1] == 0)):
        if not side.any():
            continue
        soft = cv2.GaussianBlur(side.astype(np.float32), (0, 0), rng.uniform(0.5, 2.0))
        mean = layers[:, side].mean(axis=1)[:, None, None]
        other = (layers - mean) * rng.uniform(0.5, 1.6) + mean + rng.uniform(-0.35, 0.35)
        changed = changed + soft * (other - layers)
    return np.asarray(changed, np.float32)


def _shading(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> Floats:
    """Return a smooth random brightness field, like thin cloud or a slope in the shade."""
    coarse = rng.normal(0, strength, (4, 4)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def targets(
    truth: Truth,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    width: int = 3,
    source: tuple[int, int] | None = None,
) -> Floats:
    """Return (4, rows, columns): edge, ice mask, and for each the weight of every pixel (0 or 1).

    Pixels that come from outside an image of `source` rows and columns have weight 0.
    """
    out = np.zeros((4, *size), np.float32)
    out[2] = 1.0
    if source is not None:
        whole = np.ones(source, np.uint8)
        out[2] = cv2.warpAffine(whole, matrix, size[::-1], flags=cv2.INTER_NEAREST)
    if truth.mask is not None:
        mask = cv2.warpAffine(
            truth.mask.astype(np.uint8),
            matrix,
            size[::-1],
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        out[1], out[3] = mask, out[2]
        if not truth.lines:
            out[0] = mask_edge(mask.astype(bool), width)
    for line in truth.lines:
        out[0] = np.maximum(out[0], draw(transform(line, matrix), size, width))
    if truth.mask is None and truth.sides is not None:
        ice, sea = (_fill(transform(side, matrix), size) for side in truth.sides)
        out[1], out[3] = ice, (ice ^ sea) * out[2]
    return out


def mask_edge(mask: NDArray[np.bool_], width: int = 3) -> NDArray[np.bool_]:
    """Return the boundary of a mask, `width` pixels wide; the image's own border is none."""
    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    raster = mask.astype(np.uint8)
    inner = raster - cv2.erode(raster, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.dilate(inner, np.ones((width, width), np.uint8)), bool)


def _fill(polygon: Line, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Rasterise a polygon."""
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon[:, ::-1]).astype(np.int32).reshape(-1, 1, 2)], 1)
    return canvas.astype(bool)


def sides_of(line: Line, reach: float = 4000.0) -> tuple[Line, Line]:
    """Return polygons of glacier and ocean between a front's ends, for ice that flows up in the image.

    Each is the front closed by two rays, against or along the flow. Ground beside the front
    belongs to neither.
    """
    line = line if line[0, 1] <= line[-1, 1] else line[::-1]  # so that the two rays do not cross
    up = np.array([-reach, 0.0])
    ice, sea = ([line[-1] - sign * up, line[0] - sign * up] for sign in (1.0, -1.0))
    return np.concatenate([line, ice]), np.concatenate([line, sea])


def augment(layers: Floats, truth: Truth, rng: np.random.Generator, recipe: Recipe) -> tuple[Floats, Floats]:
    """Return one augmented sample: layers (bands, *size) and `targets`."""
    astray = not recipe.turns and rng.random() < recipe.astray
    matrix = affine(rng, layers.shape[1:], recipe, rng.uniform(*FAR) if astray else 0.0)
    moved = warp(layers, matrix, recipe.size)
    goal = targets(truth, matrix, recipe.size, recipe.width, (layers.shape[1], layers.shape[2]))
    if rng.random() < recipe.contrast:
        moved = part_tones(rng, moved, goal)
    if rng.random() < recipe.speckle:
        moved = stack(speckled(rng, (moved[0] + 1) / 2))
    if astray:
        goal[0] = 0.0
    return retone(rng, moved, recipe), goal
