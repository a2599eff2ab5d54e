"""plugins, doctor, glaciers: what a person and a script read, also of what is broken."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A plugin beside the toy whose package cannot be imported, and one whose model cannot."""
    from icectl import registry

    (tmp_path / "no_import.py").write_text("raise RuntimeError('the GPU driver is missing')\n")
    (tmp_path / "no_model.py").write_text(
        "import dataclasses\nfrom toy_plugin import plugin as first\n"
        "plugin = dataclasses.replace(first, name='hollow', aliases=(), model='nowhere:Model')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    named = "toy=toy_plugin:plugin,torn=no_import:plugin,hollow=no_model:plugin"
    monkeypatch.setenv("ICECTL_PLUGINS", named)
    registry.refresh()


def test_a_broken_plugin_is_listed_with_its_reason_and_hurts_no_other(cli, broken):
    shown = {row["name"]: row for row in cli("plugins", "list", "--json").json}
    assert "the GPU driver is missing" in shown["torn"]["broken"]
    assert shown["toy"]["broken"] is None
    (line,) = [one for one in cli("plugins", "list").out.splitlines() if one.startswith("torn ")]
    assert "broken: " in line
    assert cli("fetch", "toy").code == 0
    refused = cli("fetch", "torn", ok=False)
    assert refused.code != 0
    assert "the GPU driver is missing" in refused.err


def test_show_names_every_option_with_bounds_and_default(cli):
    text = " ".join(cli("plugins", "show", "deeplab").out.split())
    assert "aliases deeplab, calfin" in text
    assert "wrs_glaciers (in a file)" in text  # no flag can hold it
    assert "--wrs-glaciers" not in text
    assert "(default off)" in text
    facts = cli("plugins", "show", "toy", "--json").json
    assert facts["name"] == "toy"
    assert facts["options"]["train"]["properties"]["epochs"]["minimum"] == 1
    unknown = cli("plugins", "show", "toyy", ok=False)
    assert (unknown.code, "did you mean 'toy'?" in unknown.err) == (2, True)


def test_new_says_what_comes_next_and_validate_what_is_wrong(cli, tmp_path, monkeypatch):
    from icectl import registry

    shown = cli("plugins", "new", "tiny-net", "--folder", str(tmp_path))
    assert shown.out.strip() == str(tmp_path / "icectl-tiny-net")
    assert "icectl plugins validate tiny-net" in shown.err
    assert cli("plugins", "new", "tiny-net", "--folder", str(tmp_path), ok=False).code == 2
    package = tmp_path / "icectl-tiny-net"
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("ICECTL_PLUGINS", "tiny-net=icectl_tiny_net:plugin")
    registry.refresh()
    assert all(check["passed"] for check in cli("plugins", "validate", "tiny-net", "--json").json)
    (tmp_path / "gone.py").write_text(
        "import dataclasses\nfrom icectl_tiny_net import plugin as first\n"
        "plugin = dataclasses.replace(first, name='gone', model='icectl_tiny_net.network:Nothing')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ICECTL_PLUGINS", "gone=gone:plugin")
    registry.refresh()
    shown = cli("plugins", "validate", "gone", "--json", ok=False)
    assert shown.code == 1
    (failed,) = [check for check in shown.json if not check["passed"]]
    assert "no attribute 'Nothing'" in failed["reason"]
    assert " NO " in cli("plugins", "validate", "gone", ok=False).out


def test_doctor_names_what_is_wrong_and_how_to_mend_it(cli, broken, monkeypatch):
    truth = importlib.metadata.version
    wrong = {"rich": "0.1", "torch": "2.0", "torchvision": "0.9+cu1"}

    def version(name: str) -> str:
        if name == "pyproj":
            raise importlib.metadata.PackageNotFoundError(name)
        return wrong.get(name) or truth(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    shown = cli("doctor", "--json", ok=False)
    assert shown.code == 1
    checks = {check["name"]: check for check in shown.json}
    assert not any(checks[name]["ok"] for name in ("rich", "pyproj", "torch", "plugin torn", "plugin hollow"))
    assert checks["rich"]["found"] == "0.1"
    assert checks["pyproj"]["hint"].startswith("pip install 'pyproj")
    assert "the GPU driver is missing" in checks["plugin torn"]["found"]
    assert "nowhere" in checks["plugin hollow"]["found"]
    assert checks["plugin toy"]["ok"]
    assert checks["workspace"]["ok"]
    lines = cli("doctor", ok=False).out.splitlines()
    assert sum(line.startswith("WRONG  ") for line in lines) == sum(not c["ok"] for c in checks.values())


def test_doctor_tells_a_torchvision_that_cannot_work_with_this_torch(cli, monkeypatch):
    import torch

    def no_operators(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.delitem(torch.ops.torchvision.__dict__, "nms", raising=False)
    monkeypatch.setattr(type(torch.ops.torchvision), "__getattr__", lambda *_: no_operators("nms"))
    checks = {check["name"]: check for check in cli("doctor", "--json", ok=False).json}
    pair = checks["torch and torchvision"]
    assert not pair["ok"]
    assert "torchvision::nms does not exist" in pair["found"]
    assert "--force-reinstall torch torchvision" in pair["hint"]


def test_ctrl_c_says_how_to_go_on(cli, monkeypatch):
    import toy_plugin

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(toy_plugin.Toy, "prepare", stop)
    shown = cli("prepare", "toy", ok=False)
    assert shown.code == 130
    assert shown.err.splitlines()[-2:] == [
        "error: interrupted",
        "hint: start the same command again: it goes on where it stopped",
    ]


def test_glaciers_are_shown_and_completed(cli):
    from icectl.cli.options import complete_glaciers

    cli("glaciers", "add", "my-place", "--bbox", "7", "46", "8", "47", "--title", "My place")
    shown = cli("glaciers", "show", "my-place")
    assert "My place" in shown.out
    file = Path(shown.out.splitlines()[-1].removeprefix("file: "))
    assert file.is_file()
    assert cli("glaciers", "show", "my-place", "--json").json["bbox"] == [7, 46, 8, 47]
    assert complete_glaciers("my-") == ["my-place"]
    taken = cli("glaciers", "add", "my-place", "--bbox", "7", "46", "8", "47", ok=False)
    assert (taken.code, "--force" in taken.err) == (2, True)


def test_a_listing_reads_three_small_records_of_a_run(tmp_path):
    """Its seconds with a thousand runs are a row of benchmarks/ready.py."""
    opened: list[str] = []
    listening = True

    def heard(event, words):
        if listening and event == "open" and str(words[0]).startswith(str(tmp_path)):
            opened.append(str(words[0]))

    from icectl import stages
    from icectl.cli.runs import facts
    from icectl.workspace import Workspace

    saved = {
        "model": "toy", "task": "toy", "schema": 1, "seed": 0, "fingerprint": "f", "glacier": {"name": "g"},
        "options": {}, "distribution": "d", "version": "1",
    }  # fmt: skip
    for number in range(20):
        made = tmp_path / "runs" / "toy" / "g" / f"{number:010x}" / "evaluations" / "g-1"
        made.mkdir(parents=True)
        (made.parents[1] / "run.json").write_text(json.dumps(saved))
        for folder in (made.parents[1], made):
            (folder / "stage.json").write_text('{"notes": {"score": "error 3 m"}}')
        (made / "metrics.json").write_text("[" * 30_000)  # nobody reads it for a listing
    sys.addaudithook(heard)
    found = [facts(run) for run in stages.runs(Workspace(tmp_path))]
    listening = False
    assert len(found) == 20
    assert found[0]["score"] == "error 3 m"
    assert 20 <= len(opened) <= 3 * 20
    assert not [name for name in opened if name.endswith("metrics.json")]
