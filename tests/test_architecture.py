"""The house rules: layers, light modules, short files, documented and annotated public functions."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = {
    "arrays": 0,
    "errors": 0,
    "contract": 1,
    "guard": 2,
    "settings": 2,
    "workspace": 2,
    "run": 3,
    "model": 4,
    "intervals": 4,
    "cluster": 4,
    "raster": 4,
    "imagery": 4,
    "splits": 4,
    "sources": 5,
    "training": 5,
    "report.panels": 5,  # the light seam by which tasks hand figures to the report
    "report": 6,
    "tasks": 6,
    "registry": 6,  # a model may be made of others, which it finds by name
    "plugins": 7,
    "stages": 9,
    "export": 9,
    "imports": 10,
    "weights": 11,
    "onnx": 9,
    "scale": 10,
    "testing": 12,
    "scaffold": 13,
    "cli": 14,
    "api": 15,
    "__main__": 15,
}
"""A package imports from packages with a smaller number, and from itself."""

PUBLIC_DOOR = {
    "arrays", "contract", "errors", "imagery", "intervals", "model", "raster", "registry", "report", "run",
    "sources",
    "tasks", "training",
}  # fmt: skip
"""What plugins may import: the documented surface."""

LIGHT = ["errors", "contract", "settings", "workspace", "run", "model", "guard", "registry", "stages", "cli"]
HEAVY = {
    "torch", "numpy", "rasterio", "cv2", "xarray", "zarr", "scipy", "geopandas", "shapely", "odc",
    "matplotlib",
}  # fmt: skip


def sources() -> list[Path]:
    """Every Python file of the package and its plugins."""
    return sorted([*(ROOT / "icectl").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])


def package(path: Path) -> str:
    """The package a file belongs to."""
    parts = path.relative_to(ROOT).parts
    return "plugins" if parts[0] == "plugins" else parts[1].removesuffix(".py")


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Absolute module names that a file imports."""
    tree = ast.parse(path.read_text())
    for node in _nodes(tree, bodies=not top_level_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes(tree: ast.Module, bodies: bool) -> Iterator[ast.AST]:
    """Nodes that run: with or without function bodies, never those for type checkers only."""
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if not bodies and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        stack.extend(ast.iter_child_nodes(node))


def test_a_package_imports_only_from_below():
    wrong = []
    for path in sources():
        here = package(path)
        if here == "__init__":
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "icectl" or len(parts) < 2 or parts[1] not in LAYERS or parts[1] == here:
                continue
            target = ".".join(parts[1:3]) if ".".join(parts[1:3]) in LAYERS else parts[1]
            if LAYERS[target] >= LAYERS[here]:
                wrong.append(f"{path.relative_to(ROOT)} ({here}) imports {name}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_no_task_imports_another_and_no_plugin_another():
    wrong = []
    for path in sources():
        parts = path.relative_to(ROOT).parts
        for name in imports(path):
            other = name.split(".")
            task_to_task = (
                parts[:2] == ("icectl", "tasks")
                and other[:2] == ["icectl", "tasks"]
                and len(other) > 2
                and (ROOT / "icectl" / "tasks" / other[2]).is_dir()
            )
            if task_to_task and len(parts) > 3 and other[2] != parts[2]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if parts[0] == "plugins" and other[0].startswith("icectl_") and other[0] != parts[1]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_no_module_imports_in_a_circle():
    """Imports for type checkers count: they too say which module has to be understood first."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources()}
    files = {name.removesuffix(".__init__").removeprefix("plugins."): path for name, path in files.items()}
    doors = {"icectl.training", "icectl.testing"}  # hand out names from the modules inside them on use
    graph = {name: _needed(path, files) - {name} for name, path in files.items() if name not in doors}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))
    assert set(graph) == set(files) - doors


def _needed(path: Path, files: dict[str, Path]) -> set[str]:
    """The modules that a file takes names from; a package whose modules alone it takes is not one."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & set(files)) or {node.module}
    return found & set(files)


def test_plugins_use_the_public_door():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "plugins").rglob("*.py")
        for name in imports(path)
        if name.startswith("icectl.") and name.split(".")[1] not in PUBLIC_DOOR
    ]
    assert not wrong, "\n".join(wrong)


def test_light_modules_import_nothing_heavy():
    light = [p for p in sources() if package(p) in LIGHT]
    light += sorted((ROOT / "icectl").glob("tasks/*/__init__.py"))
    light += sorted((ROOT / "icectl").glob("tasks/*/options.py"))
    light += sorted((ROOT / "plugins").glob("*/__init__.py"))
    light += [ROOT / "icectl/report/panels.py", ROOT / "icectl/sources/options.py"]
    light += [*(ROOT / "icectl").glob("tasks/*/estimate.py"), ROOT / "icectl/sources/estimate.py"]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in light
        if path.exists()
        for name in imports(path, top_level_only=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


OPENERS = re.compile(
    r"rasterio\.open\(|rasterio\.io|MemoryFile\(|WarpedVRT\(|\bxr\.open_|open_rasterio|cv2\.imread|\bPIL\b|gdal\.Open"
)
"""What opens a raster, a cube or a picture."""


def test_rasters_are_opened_by_the_door_alone():
    """Scale, unit, nodata and orientation are settled there."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sources()
        if package(path) != "raster"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if OPENERS.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_words_of_an_error_are_cut_in_one_place():
    """Cut elsewhere, an error without words ended in an IndexError."""
    cut = re.compile(r"str\([\w. ]+\).*(splitlines\(\)\[0\]|partition\(.\\n)")
    found = [str(p) for p in sources() if p.name != "errors.py" and cut.search(p.read_text())]
    assert not found


def test_torchmetrics_stays_out():
    wrong = [str(p) for p in sources() for name in imports(p) if name.split(".")[0] == "torchmetrics"]
    assert not wrong


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    long = [f"{n} {p.relative_to(ROOT)}" for p, n in lengths.items() if n > 400]
    assert not long, "\n".join(long)
    assert statistics.median(lengths.values()) <= 120


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef, bool]]:
    """Qualified name, node and whether it is public, for functions outside other functions."""

    def inside(node: ast.AST, prefix: str, public: bool) -> Iterator[tuple[str, ast.FunctionDef, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                yield from inside(child, f"{prefix}{child.name}.", public and not child.name.startswith("_"))
            elif isinstance(child, ast.FunctionDef):
                yield f"{prefix}{child.name}", child, public and not child.name.startswith("_")

    yield from inside(ast.parse(path.read_text()), "", True)


def test_public_functions_are_documented_and_annotated():
    wrong = []
    for path in sources():
        for name, node, public in functions(path):
            if not public:
                continue
            decorators = {ast.unparse(d).split("(")[0].rpartition(".")[2] for d in node.decorator_list}
            if ast.get_docstring(node) is None and not decorators & {"overload", "override"}:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name} has no docstring")
            if node.returns is None:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name} has no return annotation")
    assert not wrong, "\n".join(wrong)


def test_nine_functions_in_ten_are_short():
    lengths = sorted((n.end_lineno or n.lineno) - n.lineno + 1 for p in sources() for _, n, _ in functions(p))
    assert lengths[int(0.9 * len(lengths))] <= 33


def test_modules_say_what_they_are_for():
    wrong = [str(p.relative_to(ROOT)) for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not wrong, "\n".join(wrong)


def test_the_share_of_tests_does_not_shrink():
    def lines(paths: list[Path]) -> int:
        return sum(len(p.read_text().splitlines()) for p in paths)

    assert lines(sorted((ROOT / "tests").rglob("*.py"))) > 0.4 * lines(sources())


@pytest.mark.parametrize(
    "word", ["TODO", "FIXME", "NotImplementedError", "pickle.load", "weights_only=False"]
)
def test_words_that_have_no_place_in_the_source(word):
    found = [str(p.relative_to(ROOT)) for p in sources() if word in p.read_text()]
    assert not found, "\n".join(found)


def test_importing_the_package_is_light():
    probe = "import sys, icectl.cli.app; print(sorted({'torch', 'numpy', 'rasterio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
