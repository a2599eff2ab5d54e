"""Records that icectl reads back: JSON whose shape is checked before anything is taken from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.workspace.files import read_json
from icectl.workspace.places import RECORD, RUN

METRICS = "metrics.json"
NUMBER = (int, float)

_AGAIN = "run the stage that writes it again with --force"


def fits(value: Any, shape: Any) -> bool:
    """Tell whether JSON has a shape.

    `shape`: a type; None for null; a tuple of shapes, of which one has to fit; ``[shape]``, a list of it;
    ``{str: shape}``, an object of it; or ``{"name": shape}``, an object with at least that, where
    ``"name?"`` may be left out. True and false are no numbers.

    >>> fits({"a": [1, 2.5]}, {"a": [(int, float)], "b?": str})
    True
    >>> fits({"a": [1, 2.5], "b": 5}, {"a": [(int, float)], "b?": str})
    False
    """
    if shape is None:
        return value is None
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_has(value, key, one) for key, one in shape.items())
    return isinstance(value, shape) and (shape in (bool, object) or not isinstance(value, bool))


def _has(value: dict[str, Any], key: Any, shape: Any) -> bool:
    if key is str:
        return all(fits(one, shape) for one in value.values())
    name = key.removesuffix("?")
    return fits(value[name], shape) if name in value else key.endswith("?")


def read_record(path: Path, shape: Any, what: str, hint: str = _AGAIN) -> Any:
    """Read a record of ours.

    `shape`: see `fits`; `what`: what it is in words: ``"record of a stage"``.

    DataError: it is missing or damaged, or is JSON of another shape.
    """
    value = read_json(path)
    if not fits(value, shape):
        raise DataError(f"{path} is no {what}", hint)
    return value


@contextmanager
def parsing(path: Path, what: str) -> Iterator[None]:
    """Say in one sentence that values taken from the record at `path` are not what they should be.

    DataError: in place of a `KeyError`, `TypeError`, `ValueError`, `AttributeError` or `IndexError`.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is no {what}", _AGAIN) from error


_STAGE = {
    "fingerprint": str,
    "outputs": [str],
    "options": dict,
    "notes": dict,
    "meter": dict,
    "stage?": str,
    "model?": str,
    "glacier?": str,
    "command?": str,
    "inputs?": {str: str},
    "versions?": {str: str},
    "files?": dict,
}


def stage_of(folder: Path) -> dict[str, Any]:
    """Return the record of the finished stage in `folder`.

    DataError: it is missing or damaged, or is JSON of another shape.
    """
    hint = "run the stage that writes it again: it is made anew"
    record: dict[str, Any] = read_record(folder / RECORD, _STAGE, "record of a stage", hint)
    if not all(_is_entry(name, entry) for name, entry in record.setdefault("files", {}).items()):
        raise DataError(f"{folder / RECORD} lists its files wrongly", "run the stage that writes it again")
    return record


def _is_entry(name: Any, entry: Any) -> bool:
    path = Path(name)
    kinds = isinstance(entry, list) and len(entry) == 2 and fits(entry[0], int) and fits(entry[1], str)
    return kinds and not path.is_absolute() and ".." not in path.parts


_RUN = {
    "model": str,
    "glacier": {"name": str, "title?": str},
    "options": {str: dict},
    "seed": int,
    "schema": int,
    "fingerprint": str,
    "command": str,
    "inputs": {str: str},
    "scenes": (str, None),
    "task?": str,
    "summary?": str,
    "paper?": str,
    "distribution?": str,
    "version?": str,
    "weights?": (str, None),
}


def run_of(folder: Path) -> dict[str, Any]:
    """Return the record of the run in `folder`: model, glacier, options, seed.

    DataError: it is missing or damaged, or is JSON of another shape.
    """
    hint = f"move {folder} away, and train or import it again"
    saved = read_record(folder / RUN, dict, "record of a run", hint)
    saved = {"command": "", "inputs": {}, "scenes": None, **saved}
    if not fits(saved, _RUN):
        raise DataError(f"{folder / RUN} is no record of a run", hint)
    return saved


_METRICS = {
    "tables": [
        {
            "title": str,
            "primary": str,
            "note?": str,
            "columns": [{"key": str, "label": str, "unit": str, "better": (str, None)}],
            "rows": [{"name": str, "kind": str, "values": {str: (*NUMBER, None)}, "note?": str}],
        }
    ],
    "notes": [str],
    "details": {"intervals?": {str: ({str: ({str: (list, None)}, None)}, None)}},
}


def metrics_of(folder: Path) -> dict[str, Any]:
    """Return what was measured by the evaluation in `folder`.

    DataError: it is missing or damaged, or is JSON of another shape.
    """
    found: dict[str, Any] = read_record(folder / METRICS, _METRICS, "record of an evaluation")
    for table in found["tables"]:
        if table["primary"] not in {column["key"] for column in table["columns"]}:
            raise DataError(f"{folder / METRICS} is no record of an evaluation", _AGAIN)
    return found
