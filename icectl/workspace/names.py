"""Names that come from outside (files, servers, settings) and become parts of paths: one check for all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from icectl.errors import DataError, WorkError

MAX_NAME = 200
"""Characters of a name; file systems take 255 bytes, and suffixes are added to it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FINGERPRINT = re.compile(r"[0-9a-f]{10,64}")


def safe_name(name: Any, what: str) -> str:
    """Return `name` if it may name a file or a folder; refuse path parts, control characters, other types.

    Parameters
    ----------
    name
        What somebody wrote; anything but a plain name is refused.
    what
        Whose name it is, for the sentence: ``"the glacier of run.json"``.

    Raises
    ------
    DataError
        It is no text of letters, digits, ``. _ -`` that starts with a letter or a digit.

    Examples
    --------
    >>> safe_name("rgi60-11.01450", "a glacier")
    'rgi60-11.01450'
    """
    plain = isinstance(name, str) and _NAME.fullmatch(name) and ".." not in name and len(name) <= MAX_NAME
    if not plain:
        raise DataError(
            f"{what} is {_short(name)}, which cannot name a file",
            f"names are letters, digits, '.', '_' and '-', start with a letter or a digit, "
            f"and have at most {MAX_NAME} characters",
        )
    return str(name)


def safe_fingerprint(value: Any, what: str) -> str:
    """Return `value` if it is the fingerprint of a stage: 10 to 64 hexadecimal digits.

    Raises
    ------
    DataError
        It is anything else.
    """
    if not isinstance(value, str) or not _FINGERPRINT.fullmatch(value):
        raise DataError(
            f"{what} has the fingerprint {_short(value)}, which is no digest",
            "take the file as it was written, or make it again",
        )
    return value


def inside(root: Path, path: Path) -> Path:
    """Return `path` if it lies below `root` once links are followed.

    Raises
    ------
    WorkError
        It lies elsewhere: a link leads out of the workspace.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise WorkError(
            f"{path} leads out of the workspace {root}",
            "name the place it leads to as --workspace, or remove the link",
        )
    return path


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
