"""What code makes a stage: the distribution, its version, its source where it can be edited, a function.

It is found without importing a model, so that a plan stays light.
"""

import ast
import hashlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from icectl import __version__, registry
from icectl.contract import Plugin

LARGE = 2**22
"""Bytes from which a file of an editable package is known by its size and time."""


def code_of(plugin: Plugin, verb: str) -> dict[str, Any]:
    """Return what identifies the code that performs `verb` for `plugin`.

    For ``fetch`` and ``prepare`` that is the class whose method is called, since the models of a task share
    what icectl itself fetches and prepares; a class of the plugin's own brings the plugin's version with it.
    Later stages belong to the plugin.
    """
    if verb not in ("fetch", "prepare"):
        return made_by(plugin)
    by = performed_by(plugin.model, verb)
    if not by.startswith("icectl."):
        return {"by": by, **made_by(plugin)}
    return {"by": by} if verb == "fetch" else {"by": by, "icectl": __version__}


def made_by(plugin: Plugin) -> dict[str, Any]:
    """Return the distribution and version of a plugin and, where its code can be edited, a hash of it."""
    found = registry.owner(plugin)
    facts: dict[str, Any] = {"distribution": found.distribution, "version": found.version}
    if is_editable(found.distribution):
        facts["source"] = source_hash(plugin.model, found.value)
    return facts


def is_editable(name: str) -> bool:
    """Tell whether a distribution's code lies where its author edits it, not in an installed copy."""
    try:
        direct = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:  # named in the environment: never installed
        return True
    return bool(direct) and bool(json.loads(direct or "{}").get("dir_info", {}).get("editable"))


def source_hash(*dotted: str) -> str:
    """Return a digest of the files of the packages (or lone modules) that hold dotted names.

    Data that a package ships count as its code does: those over `LARGE` by size and time, since a plan reads
    them all. Hidden files, compiled code and pages of text do not count.
    """
    digest = hashlib.sha256()
    for top in sorted({name.partition(":")[0].partition(".")[0] for name in dotted if name}):
        spec = find_spec(top)
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
        files = [(path, path.relative_to(folder)) for folder in folders for path in folder.rglob("*")]
        if not folders and spec is not None and spec.origin:
            files = [(Path(spec.origin), Path(Path(spec.origin).name))]
        for path, place in sorted(files):
            if _counts(place) and path.is_file():
                facts = path.stat()
                large = f"{facts.st_size} {facts.st_mtime_ns}".encode() if facts.st_size > LARGE else b""
                digest.update(place.as_posix().encode() + b"\0" + (large or path.read_bytes()) + b"\0")
    return digest.hexdigest()[:16]


def _counts(place: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
    return not hidden and place.suffix not in (".pyc", ".md", ".rst")


def performed_by(dotted: str, verb: str) -> str:
    """Return ``module:Class`` of the class that defines the method `verb` of the class `dotted`.

    Classes and their bases are read from source; one that is made in another way is imported.
    """
    module, _, name = dotted.partition(":")
    try:
        found = _defining(module, name, verb)
    except (OSError, SyntaxError, ValueError, ImportError):
        found = None
    return found or _imported(dotted, verb)


def _imported(dotted: str, verb: str) -> str:
    kind = registry.resolve(dotted)
    for one in getattr(kind, "__mro__", ()):
        if verb in vars(one):
            return f"{one.__module__}:{one.__qualname__}"
    return dotted


def _defining(module: str, name: str, verb: str) -> str | None:
    """Look for `verb` in a class and its bases, in the order in which Python would."""
    spec = find_spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            if verb in _names(node):
                return f"{module}:{name}"
            places = [_place(base, tree, module) for base in node.bases]
            found = (_defining(*place, verb) for place in places if place is not None)
            return next((one for one in found if one), None)
        if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
            place = _place(ast.Name(name), tree, module)
            return _defining(*place, verb) if place else None
    return None


def _names(node: ast.ClassDef) -> set[str]:
    """Return the names that a class body binds."""
    found = {n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    targets = [t for n in node.body if isinstance(n, ast.Assign) for t in n.targets]
    return found | {t.id for t in targets if isinstance(t, ast.Name)}


def _place(base: ast.expr, tree: ast.Module, module: str) -> tuple[str, str] | None:
    """Return the module and name of a base class, as the module's imports say."""
    if not isinstance(base, ast.Name):
        return None
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == base.id:
                    parent = module.rsplit(".", node.level)[0] + "." if node.level else ""
                    return f"{parent}{node.module}", alias.name
        if isinstance(node, ast.ClassDef) and node.name == base.id:
            return module, base.id
    return None
