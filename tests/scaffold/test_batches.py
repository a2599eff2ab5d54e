"""What docs/plugins.md says that a learner is handed: the parts of a batch, their shapes, and the facts."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from icectl import registry, scaffold
from icectl.tasks import TASKS
from icectl.testing import Subject

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"

SIZES = {
    "snow": {"P": 4, "F": 4, "H": 16, "W": 16},
    "flow": {"P": 2, "S": 16},
    "front": {"H": 32, "W": 32},
    "bed": {"S": 32},
}
"""What the letters of the page stand for in the smallest training of a task."""


def documented(task: str) -> tuple[dict[str, str], set[str]]:
    """Return the shapes of a batch's parts, and the facts, as the page states them."""
    table = PAGE.read_text(encoding="utf-8").partition("| task | a batch holds")[2]
    _, _, batch, facts, _ = next(
        line.split("|") for line in table.splitlines() if line.startswith(f"| `{task}`")
    )
    parts: dict[str, str] = {}
    waiting: list[str] = []
    for name, shape in re.findall(r"`(\w+)`|\((B, [^)]*)\)", batch.replace("`--guides terrain`", "")):
        waiting += [name] if name else []
        if shape:
            parts |= dict.fromkeys(waiting, shape)
            waiting = []
    return parts, set(re.findall(r"`(\w+)`", facts))


@pytest.fixture
def forgotten():
    """What a test names in the environment is forgotten once the environment is as before."""
    registry.refresh()
    yield
    registry.refresh()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_learner_is_handed_what_the_page_says(task, tmp_path, forgotten, monkeypatch):
    folder = scaffold.create("my-net", task, tmp_path)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("icectl_my_net", "icectl_my_net.network"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("ICECTL_PLUGINS", "my-net=icectl_my_net:plugin")
    registry.refresh()
    from icectl_my_net import plugin
    from icectl_my_net.network import Model

    seen: dict[str, tuple[int, ...]] = {}
    kept: set[str] = set()
    build = Model.learner

    def learner(self, network, options, facts):
        made = build(self, network, options, facts)
        step = made.update

        def update(batch, context):
            seen.update({name: tuple(part.shape) for name, part in batch.items()})
            return step(batch, context)

        made.update = update
        kept.update(facts)
        return made

    monkeypatch.setattr(Model, "learner", learner)
    Subject(plugin, tmp_path / "work").train("train", updates=1)
    parts, facts = documented(task)
    assert set(parts) - {"terrain"} == set(seen) - {"index"}
    for name, shape in seen.items():
        wanted = parts.get(name, "B").split(", ")
        assert len(shape) == len(wanted), name
        for length, letters in zip(shape[1:], wanted[1:], strict=True):
            known = (
                eval(letters, dict(SIZES.get(task, {})))
                if re.fullmatch(r"[PFHS0-9W +]+", letters)
                else length
            )
            assert length == known, f"{name}: {shape}, documented as ({parts[name]})"
    assert facts <= kept
    assert {"model", "options", "seed", "parameters", "updates"} <= kept
