"""What makes a stage's question the same: fingerprints of options and of the user's files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from icectl.errors import UsageError
from icectl.workspace.files import plain

PUBLISHED = re.compile(r"[a-z]+\d*:[0-9.]+")
"""A name of published data in the place of a path; see `icectl.sources.published`."""


def fingerprint(value: Any) -> str:
    """Return a digest of plain data that does not depend on the order of keys."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def identify(path: Path) -> list[Any]:
    """Return what tells one version of a user's file or folder from another: names, sizes, times.

    A name of published data, such as ``rgi:11``, stands for itself: what it means does not change.
    """
    if not path.exists() and PUBLISHED.fullmatch(str(path)):
        return [str(path)]
    if not path.exists():
        raise UsageError(f"{path} does not exist", "check the path")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    base = path if path.is_dir() else path.parent
    return [[p.relative_to(base).as_posix(), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
