"""Draws ``docs/images/architecture.svg`` from the layers in ``tests/test_architecture.py``."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WIDTH, ROW, BOX = 1120, 58, 40

STEPS = {
    "cli": "1 · what was typed becomes one request",
    "stages": "2 · a plan: folders, fingerprints, what is done",
    "registry": "3 · the model behind the name",
    "tasks": "4 · fetch, prepare, train, predict, evaluate",
    "training": "one loop for every network",
    "raster": "files in and out",
    "workspace": "whole files, locks, checksums",
}


def layers() -> dict[int, list[str]]:
    """Return the packages of each layer, as the test holds them."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    table = next(
        node.value for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )  # fmt: skip
    found: dict[int, list[str]] = {}
    for package, layer in ast.literal_eval(table).items():
        if "." not in package and exists(package):
            found.setdefault(layer, []).append(package)
    return found


def exists(package: str) -> bool:
    """Tell whether a package or module is here; the test names some of others."""
    place = ROOT / "plugins" if package == "plugins" else ROOT / "icectl" / package
    return place.is_dir() or place.with_suffix(".py").is_file()


def drawn() -> str:
    """Return the picture as SVG: the highest layer on top, an arrow for the only direction of imports."""
    rows = sorted(layers().items(), reverse=True)
    height = ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<path d="M18 20V{height - 30}m-6 -10 6 12 6 -12" fill="none" stroke="#566573" stroke-width="2"/>',
        f'<text x="40" y="{height - 12}" font-size="13" fill="#566573">imports go down only</text>',
    ]
    for number, (_, packages) in enumerate(rows):
        parts += _row(sorted(packages), 16 + number * ROW)
    return "\n".join([*parts, "</svg>", ""])


def _row(packages: list[str], y: float) -> list[str]:
    said = [STEPS[package] for package in packages if package in STEPS]
    width_of_one = (740 - 10 * len(packages)) / len(packages)
    width = min(width_of_one, 190.0)
    parts = []
    for place, package in enumerate(packages):
        x = 40 + place * (width + 10)
        fill = "#d6e8f7" if package in STEPS else "#eef3f7"
        middle = f'x="{x + width / 2:.0f}" text-anchor="middle"'
        parts += [
            f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX}" rx="6" fill="{fill}"/>',
            f'<text {middle} y="{y + 25}" font-size="14">{escape(package)}</text>',
        ]
    first = y + 25 - 9 * (len(said) - 1)
    for place, words in enumerate(said):
        parts.append(f'<text x="800" y="{first + 18 * place}" font-size="13">{escape(words)}</text>')
    return parts


if __name__ == "__main__":
    (Path(__file__).with_suffix(".svg")).write_text(drawn(), encoding="utf-8")
