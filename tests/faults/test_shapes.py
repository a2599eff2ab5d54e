"""Every JSON file that icectl reads back, replaced by JSON of another shape: one sentence, or made again.

One code reads the records that every task leaves: each shape of them is tried on one of four tasks; on all of
them with ``ICECTL_FAULT_SHAPES=1``, as in ``make faults``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from smallest_words import TASKS, words
from terminal import terminal

from icectl.errors import DataError
from icectl.report.page import write_prediction, write_report
from icectl.sources.catalogue import read_catalogue
from icectl.stages import score_of
from icectl.tasks.bed.dataset import open_dataset as ground
from icectl.tasks.front.dataset import open_dataset as fronts
from icectl.tasks.front.files.records import read_records
from icectl.workspace import contents, metrics_of

WHOLE = ["[]", "{}", "null", '"x"', "5", "[[]]", '{"a": 5}']
SHARE = int(os.environ.get("ICECTL_FAULT_SHAPES", str(len(TASKS))))
COMMON = {"stage.json", "run.json", "metrics.json", "panels.json"}
"""Records that every task leaves, which are written and read outside of tasks."""
UNREAD = {"fronts.geojson", "item.json"}
"""Products for other programs, which icectl does not read."""


def wrong(value: Any) -> Any:
    """A value of another type."""
    if isinstance(value, dict | bool):
        return "x"
    return 5 if isinstance(value, str | list) else {} if value is None else "x"


def changed(value: Any, depth: int = 5) -> Iterator[Any]:
    """The same JSON with one value of another type in it, or left out; of a list, in its first item."""
    if depth and isinstance(value, dict):
        for key in value:
            yield {**value, key: wrong(value[key])}
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: one} for one in changed(value[key], depth - 1))
    elif depth and isinstance(value, list) and value:
        yield [wrong(value[0]), *value[1:]]
        yield from ([one, *value[1:]] for one in changed(value[0], depth - 1))


def records(workspace: Path) -> list[Path]:
    found = [p for p in workspace.rglob("*.json") if not any(q.suffix == ".zarr" for q in p.parents)]
    return sorted(p.relative_to(workspace) for p in found if p.name not in UNREAD)


def accept(stage: Path, workspace: Path) -> None:
    """Let the checksums of the stage around a file, if one is finished, hold for the file as it is now."""
    for folder in (stage, *stage.parents):
        if folder == workspace:
            return
        if (folder / "stage.json").is_file():
            record = json.loads((folder / "stage.json").read_text())
            record["files"] = contents(folder, record["outputs"])
            (folder / "stage.json").write_text(json.dumps(record))
            return


def commands(model: str, path: Path, run: str) -> list[list[str]]:
    """The commands that read a record, the next verb first."""
    if "scenes" in path.parts:
        return [["prepare", model, *words(model, "prepare"), "--force"]]
    if "prepared" in path.parts:
        return [["train", model, *words(model, "train"), "--force"]]
    if "predictions" in path.parts:
        forced = ["--force"] if path.name == "fronts.json" else []
        evaluate = ["evaluate", model, *words(model, "evaluate"), *forced]
        return [evaluate, ["predict", model, *words(model, "predict")]]
    shown = [["report", run], ["export", run], ["runs", "list"], ["runs", "show", run]]
    return [["evaluate", model, *words(model, "evaluate")], *shown]


def whole(path: Path, number: int) -> list[str]:
    """JSON of other shapes than what the file holds: the task's share, where all tasks have such a file."""
    found = json.loads(path.read_text())
    shapes = [*WHOLE, json.dumps({key: wrong(value) for key, value in found.items()})]
    return shapes[number % SHARE :: SHARE] if path.name in COMMON else shapes


def test_shares_hold_every_shape(tmp_path):
    """Of a record that every task leaves, the four tasks together try all shapes."""
    (tmp_path / "run.json").write_text('{"a": 1}')
    tried = [text for number in range(len(TASKS)) for text in whole(tmp_path / "run.json", number)]
    assert sorted(tried) == sorted([*WHOLE, '{"a": "x"}'] * (len(TASKS) // SHARE))


@pytest.mark.slow
@pytest.mark.parametrize("model", TASKS)
@pytest.mark.timeout(3600)
def test_the_next_command_says_it_or_makes_it_again(evaluated, monkeypatch, capfd, tmp_path, model):
    icectl, first = terminal(monkeypatch, capfd), evaluated(model)
    monkeypatch.chdir(tmp_path)
    run = next(first.glob(f"runs/{model}/*/*")).name
    tried, faults = 0, []
    for path in records(first):
        for text in whole(first / path, TASKS.index(model)):
            workspace = tmp_path / "workspace"
            shutil.rmtree(workspace, ignore_errors=True)
            shutil.copytree(first, workspace)
            monkeypatch.setenv("ICECTL_WORKSPACE", str(workspace))
            (workspace / path).write_text(text)
            if path.name != "stage.json":
                accept((workspace / path).parent, workspace)
            for command in commands(model, path, run):
                out = ["--out", f"{tried}.zip"] if command[0] == "export" else []
                said, tried = icectl(*command, *out, ok=False), tried + 1
                worded = said.code == 0 or ("error: " in said.err and "hint: " in said.err)
                if not worded or "unexpected" in said.err or "failed in" in said.err:
                    faults.append(f"{path} = {text[:200]}\n  {command[:3]}: {said.code} {said.err[-300:]}")
    print(f"\n{tried} commands after records of another shape")
    assert not faults, "\n".join(faults)


def page(run: Path) -> None:
    """Read all that a report reads, and write it."""
    for evaluation in (run / "evaluations").iterdir():
        score_of(metrics_of(evaluation))
    write_report(run)
    for prediction in (run / "predictions").iterdir():
        write_prediction(prediction)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "runs/*/*/*/run.json": ("convlstm", lambda path: page(path.parent)),
    "runs/*/*/*/stage.json": ("convlstm", lambda path: page(path.parent)),
    "runs/*/*/*/evaluations/*/metrics.json": ("convlstm", lambda path: page(path.parents[2])),
    "runs/*/*/*/evaluations/*/stage.json": ("convlstm", lambda path: page(path.parents[2])),
    "runs/*/*/*/predictions/*/panels.json": ("convlstm", lambda path: page(path.parents[2])),
    "runs/*/*/*/predictions/*/fronts.json": ("deeplab-xception", lambda path: read_records(path.parent)),
    "glaciers/*/prepared/*/index.json": ("deeplab-xception", lambda path: fronts(path.parent)),
    "glaciers/*/prepared/*/dataset.json": ("inpaint-gan", lambda path: ground(path.parent)),
    "glaciers/*/scenes/*/items.json": ("convlstm", lambda path: read_catalogue(path.parent)),
}
"""Records, the model that leaves them, and what reads them."""

LONG = ("stage.json", "run.json", "metrics.json", "panels.json")
QUICK = {p for p, (model, _) in READERS.items() if model == "convlstm" and not p.endswith(LONG)}
"""Records of the model that is trained anyway, less those that take half a minute each."""


@pytest.mark.parametrize(
    "pattern",
    [pytest.param(p, marks=[] if p in QUICK else pytest.mark.slow) for p in READERS],
)
def test_a_value_of_another_type_deep_in_a_record_is_a_data_error(evaluated, tmp_path, pattern):
    model, read = READERS[pattern]
    workspace = tmp_path / "workspace"
    shutil.copytree(evaluated(model), workspace)
    path = next(workspace.glob(pattern))
    read(path)
    found, refused, faults = json.loads(path.read_text()), 0, []
    step = 20 if pattern.startswith("runs/") and model == "convlstm" else 1  # these draw a page each
    for one in list(changed(found))[::step]:
        path.write_text(json.dumps(one))
        try:
            read(path)
        except DataError as error:
            refused += bool(error.hint)
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}: {json.dumps(one)[:600]}")
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:20])
    assert refused or step > 1
