"""What an interrupted prediction of a region had computed: a line a glacier, in a hidden file."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from icectl.workspace import fits, remove_file, writing

Made = tuple[dict[str, Any], list[str], str]
"""A glacier's row of the table, what there is to say, and why step (a) fell back."""

FILE = ".glaciers.jsonl"


@contextmanager
def keeping(folder: Path) -> Iterator[tuple[dict[str, Made], IO[str]]]:
    """Yield what is known, by glacier, and a file that `keep` writes to; it goes when all are done."""
    path = folder / FILE
    known = {made[0]["id"]: made for made in _read(path)}
    with writing(path) as file:
        for made in known.values():
            keep(file, made)
    with path.open("a", encoding="utf-8") as file:
        yield known, file
    remove_file(path)


def keep(file: IO[str], made: Made) -> None:
    """Write down one glacier, whose products stand."""
    file.write(json.dumps(made) + "\n")
    file.flush()


def _read(path: Path) -> Iterable[Made]:
    """Yield the glaciers of whole lines: the last one may have been cut."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            made = json.loads(line)
        except ValueError:
            continue
        if isinstance(made, list) and len(made) == 3 and fits(made[0], {"id": str}) and fits(made[1], [str]):
            yield made[0], made[1], str(made[2])
