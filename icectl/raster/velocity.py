"""Which layers of a file are a speed, or the components of a velocity, by what they are called."""

import re
from collections.abc import Sequence
from pathlib import Path

from icectl.errors import DataError
from icectl.raster.stored import Info

_LAYERS = (
    ("", r"dem|dsm|dtm|elevations?|heights?"),
    (
        "other",
        r"err\w*|std\w*|sigma|uncertainty|azimuth|az|dir|direction|bearing|angle|heading|aspect|count|bias",
    ),
    ("other", r"cnt|mask|phase|amp|dt|date|snr|vz|vertical"),
    ("speed", r"speed|mag(?:nitude)?|abs"),
    ("x", r"v_?x|vel\w*_x|vel(?:ocity)?x|x_?vel\w*|v_?e|e|east\w*|u"),
    ("y", r"v_?y|vel\w*_y|vel(?:ocity)?y|y_?vel\w*|v_?n|n|north\w*"),
    ("speed", r"v|vv|vel\w*"),
)
"""What a layer of a velocity is by a word in its name; of several the first counts."""


def kind_of_layer(name: str) -> str:
    """Return what a layer is by its name: ``speed``, ``x``, ``y``, ``other``; nothing where it does not say.

    >>> [kind_of_layer(name) for name in ("RGI01A_velocity_v02_vx", "velocity 2018", "v_error", "scene-5")]
    ['x', 'speed', 'other', '']
    """
    return next((kind for kind, of in _LAYERS if _says(name, of)), "")


def kinds_of_layers(names: Sequence[str]) -> list[str]:
    """Return what each layer of a velocity is; beside a ``u``, ``v`` is the other component and no speed."""
    kinds = [kind_of_layer(name) for name in names]
    if any(_says(name, "u") for name in names):
        kinds = ["y" if k == "speed" and _says(n, "v") else k for k, n in zip(kinds, names, strict=True)]
    return kinds


def _says(name: str, words: str) -> bool:
    return re.search(rf"(?<![a-z\d])(?:{words})(?![a-z\d])", name.lower()) is not None


def layers_called(path: Path) -> list[tuple[int, str]]:
    """Return the bands of a file with what each is called; the only one by the file where it says nothing."""
    info = Info(path)
    numbers = [number for number in range(1, info.count + 1) if number != info.alpha]
    called = [info.descriptions[number - 1] or "" for number in numbers]
    if len(called) == 1 and not kind_of_layer(called[0]):
        called = [path.stem]
    return list(zip(numbers, called, strict=True))


def components_of(path: Path) -> list[tuple[Path, int]] | None:
    """Return the components of a velocity with their bands: both of a file, or its own and one beside it.

    The other file is called alike but for an ``x`` that is a ``y``. Two bands that nothing is said of are
    components; None where the file holds no velocity, by its names.

    DataError: it holds a speed, or one component alone.
    """
    named = layers_called(path)
    if not {kind_of_layer(name) for _, name in named} - {"", "other"}:
        return [(path, number) for number, _ in named] if len(named) == 2 else None
    beside = [other for other in sorted(path.parent.iterdir()) if _twins(path.name, other.name)]
    layers = [(one, *layer) for one in (path, *beside[:1]) for layer in layers_called(one)]
    kinds = kinds_of_layers([name for *_, name in layers])
    found = [[(one, n) for (one, n, _), k in zip(layers, kinds, strict=True) if k == axis] for axis in "xy"]
    if [len(those) for those in found] != [1, 1]:
        raise DataError(
            f"{path} holds a speed or one component of a velocity, which have no direction",
            "put both components side by side, as vx.tif and vy.tif, or into one file as its bands vx and vy",
        )
    return [those[0] for those in found]


def _twins(one: str, other: str) -> bool:
    """Tell whether two names differ in an ``x`` that is a ``y`` and in nothing else."""
    apart = {a + b for a, b in zip(one.lower(), other.lower(), strict=False) if a != b}
    return len(one) == len(other) and apart in ({"xy"}, {"yx"})
