"""Faults of the system and of what is typed: one sentence and a hint, and finished work stays finished."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icectl.errors import WorkError, worded


def explained(shown) -> str:
    assert shown.code in (1, 2), shown.err
    assert "hint:" in shown.err
    assert "unexpected" not in shown.err, shown.err
    return shown.err


@pytest.mark.parametrize("words", [("--workspace", ""), ("--workspace=",), ("--scenes", ""), ("--out=",)])
def test_an_empty_value_is_refused(cli, tmp_path, words):
    assert "is given no value" in explained(cli("fetch", "toy", *words, ok=False))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", ["12345678901234567890", "-1", str(2**32), "x", "1.5"])
def test_a_seed_out_of_bounds_is_refused_when_typed(cli, tmp_path, seed):
    explained(cli("train", "toy", "--seed", seed, ok=False))
    assert not list(tmp_path.iterdir())


def test_a_patch_out_of_bounds_is_refused_when_typed(cli, tmp_path):
    said = explained(cli("train", "convlstm", "--patch", "4", "--glacier", "demo", ok=False))
    assert "--patch 4 is not allowed" in said
    assert not list(tmp_path.iterdir())


BAD = {
    "number": "outline = 5",
    "nested": "a = " + "[" * 3000,
    "keys": ".".join("a" * 2000) + " = 1",
    "crs": 'crs = "EPSG:banana"',
    "no crs": 'crs = "EPSG:999999"',
    "table": "bbox = {a = 1}",
    "list": "name = [1]",
    "options": "options = 5",
    "text": '[options]\nwords = "x"',
    "binary": "\0\1",
    "reals": "bbox = [nan, nan, nan, nan]",
    "three": "bbox = [1, 2, 3]",
    "truth": "resolution = true",
    "truths": "bbox = [true, 2, 3, 4]",
    "endless": "resolution = inf",
    "empty": 'outline = ""',
    "zero": 'dem = "a\\u0000b"',
    "verb": "[options.toy.bake]\na = 1",
    "deep": f"[options.toy.train.{'.'.join('a' * 500)}]\nb = 1",
    "digits": "note = " + "9" * 5000,
    "bits": "[options.toy.train]\nepochs = " + "9" * 30,
    "latin": "note = 'é'".encode("latin-1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_glacier_file_of_another_shape_is_named(cli, tmp_path, name):
    folder = tmp_path / "configs" / "glaciers"
    folder.mkdir(parents=True)
    bad = BAD[name]
    (folder / "odd.toml").write_bytes(bad if isinstance(bad, bytes) else bad.encode())
    said = explained(cli("fetch", "toy", "--glacier", "odd", ok=False))
    assert "odd.toml" in said
    assert "add a line 'bbox.3" not in said  # no line of a file can be that
    listed = cli("glaciers", "list")
    assert "demo" in listed.out
    assert "odd.toml" in listed.err


def test_a_settings_file_may_begin_with_the_mark_of_an_editor(cli, tmp_path):
    (tmp_path / "odd.toml").write_text('model = "toy"\n', encoding="utf-8-sig")
    cli("fetch", "toy", "--experiment", "odd.toml")


@pytest.mark.parametrize("lines", ["updates = true", "preset = ['small']", "preset = {a = 1}", "lr = [true]"])
def test_an_option_of_another_shape_in_an_experiment_is_named(cli, tmp_path, lines):
    (tmp_path / "odd.toml").write_text(f'model = "convlstm"\nglacier = "demo"\n[train]\n{lines}\n')
    said = explained(cli("train", "convlstm", "--experiment", "odd.toml", "--dry-run", ok=False))
    assert f"odd', [train]: {lines.split()[0]} = " in said


@pytest.mark.parametrize("value", ["9" * 30, "true"])
def test_a_number_out_of_all_bounds_is_refused_when_typed(cli, tmp_path, value):
    said = explained(cli("train", "convlstm", "--glacier", "demo", "--updates", value, "--dry-run", ok=False))
    assert f"--updates {value} is not allowed" in said


@pytest.mark.parametrize("value", ["true", '"x"', "[1]", "{}", "1e400"])
def test_a_value_of_another_shape_in_an_experiment_is_named(cli, tmp_path, value):
    (tmp_path / "odd.toml").write_text(f'model = "toy"\n[train]\nepochs = {value}\n')
    assert "odd" in explained(cli("train", "toy", "--experiment", "odd.toml", ok=False))


def test_a_report_that_cannot_be_written_costs_a_warning(cli, monkeypatch):
    from icectl.report import page

    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", "report.html")

    monkeypatch.setattr(page, "write_report", full)
    shown = cli("evaluate", "toy", "--json")
    assert "warning: the report could not be written: the disk of report.html is full" in shown.err
    assert shown.json["report"] is None
    assert shown.json["metrics"]["tables"]


def test_a_finished_result_on_a_read_only_place_is_shown(cli, monkeypatch):
    page = cli("evaluate", "toy", "--json").json["report"]

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "x/.icectl-abc.partial")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    again = cli("evaluate", "toy", "--json")
    assert again.json["report"] == page
    assert f"{page} cannot be read or written: Read-only file system" in again.err
    shown = cli("report")
    assert shown.out == f"{page}\n"
    assert f"warning: {page} is the page of before: it cannot be written again (Read-only" in shown.err
    refused = cli("report", "--out", "mine.html", ok=False)
    assert refused.err.count("mine.html is not writable\nhint: ") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space", "a.tif"), "the disk of a.tif is full"),
        (OSError(errno.EFBIG, "File too large", "a.tif"), "the disk of a.tif is full"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory of this machine"),
        (OSError(errno.EROFS, "Read-only file system", "a.tif"), "a.tif cannot be read or written"),
        (OSError("Can't write (file write failed: errno = 28, error message = 'x')"), "is full"),
        (MemoryError(), "memory of this machine"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory"),
    ],
)
def test_faults_of_the_system_are_worded(error, words):
    said = worded(error)
    assert isinstance(said, WorkError)
    assert words in said.message
    assert said.hint


def test_a_bug_is_not_worded_away():
    assert worded(ValueError("x")) is None


def run(
    words: list[str], cwd: Path, stdout=subprocess.PIPE, before=None, **more: str
) -> subprocess.CompletedProcess:
    toys = str(Path(__file__).parent.parent / "toys")
    toys = os.pathsep.join([toys, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": toys, "ICECTL_PLUGINS": "toy=toy_plugin:plugin", **more}
    command = [sys.executable, "-c", "from icectl.cli import main; main()", *words]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
        preexec_fn=before,
    )


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("ascii", "Grosser Unicode ?? - <="), ("cp1252", "Großer Ünïcode ?? – <=")],
)
def test_a_terminal_without_our_signs_shows_others(tmp_path, encoding, title):
    (tmp_path / "configs" / "glaciers").mkdir(parents=True)
    (tmp_path / "configs" / "glaciers" / "place.toml").write_text('title = "Großer Ünïcode 氷河 – ≤"\n')
    plain = run(["evaluate", "toy", "--glacier", "place"], tmp_path, PYTHONIOENCODING=encoding)
    assert plain.returncode == 0, plain.stderr
    listed = run(["glaciers", "list"], tmp_path, PYTHONIOENCODING=encoding).stdout.decode(encoding)
    assert f" {title} " in " ".join(listed.split())
    shown = run(["glaciers", "show", "place", "--json"], tmp_path, PYTHONIOENCODING=encoding)
    assert json.loads(shown.stdout.decode(encoding))["title"] == "Großer Ünïcode 氷河 – ≤"


def test_a_full_standard_output_is_said(tmp_path):
    with open("/dev/full", "wb") as full:
        done = run(["fetch", "toy"], tmp_path, stdout=full)
    assert done.returncode == 1
    assert b"error: the disk of the output is full" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.slow
def test_messages_that_cannot_be_written_cost_no_work(tmp_path):
    """Whoever writes them onto a full disk lost the training with them."""
    toys = str(Path(__file__).parent.parent / "toys")
    around = {**os.environ, "ICECTL_PLUGINS": "toy=toy_plugin:plugin"}
    around["PYTHONPATH"] = os.pathsep.join([toys, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "icectl", "evaluate", "toy", "--json"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, cwd=tmp_path, env=around)
    assert done.returncode == 0
    assert json.loads(done.stdout)["metrics"]["tables"]


def test_a_reader_that_has_gone_is_no_fault(tmp_path):
    ends = os.pipe()
    os.close(ends[0])
    done = run(["glaciers", "list"], tmp_path, stdout=ends[1])
    os.close(ends[1])
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_no_standard_output_is_no_fault(tmp_path):
    """A service or a scheduler may start a command with it closed."""
    done = run(["glaciers", "list", "--json"], tmp_path, stdout=None, before=lambda: os.close(1))
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_home_that_is_not_known_is_said(cli):
    assert "'~'" in explained(cli("runs", "list", "--workspace", "~no-such-user/here", ok=False))


def test_debug_hides_secrets(tmp_path):
    secret = "https://me:hunter2@a.example/x?sig=hunter3"
    code = f"import icectl.cli.app as a\ndef f(x): raise ValueError({secret!r})\na.invoke = f\n"
    code += "import sys; from icectl.cli import main; sys.argv = ['icectl', '--debug']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "Traceback" in done.stderr
    assert "hunter" not in done.stderr.replace("raise ValueError", "")


def test_a_disk_that_fills_while_a_run_is_exported_is_that_of_the_export(tmp_path):
    """The file that was copied is named by the system, and is not what is full."""
    run(["train", "toy"], tmp_path)
    (record,) = tmp_path.glob("icectl-workspace/runs/toy/*/*/run.json")
    (record.parent / "extra.bin").write_bytes(bytes(400_000))
    (tmp_path / "there").mkdir()
    words = ["export", "--out", "there/mine.zip"]
    limit = (resource.RLIMIT_FSIZE, (200_000, 200_000))
    done = run(words, tmp_path, before=lambda: resource.setrlimit(*limit))
    assert done.returncode == 1
    assert f"the disk of {tmp_path / 'there'} is full" in done.stderr.decode()
    assert list((tmp_path / "there").iterdir()) == []


TORCH = [
    ["predict", "front-unet", "--scenes", "images", "--resolution", "30"],
    ["train", "unet", "--glacier", "demo"],
    ["doctor"],
    ["devices"],
]


@pytest.mark.parametrize("words", TORCH, ids=lambda words: words[0])
def test_too_little_address_space_for_torch_is_said(tmp_path, words):
    """Torch aborts in it, and nothing was said."""
    (tmp_path / "images").mkdir()
    values = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "images" / "20200101.png")
    limit = (resource.RLIMIT_AS, (4_000_000 * 1024,) * 2)
    done = run(words, tmp_path, before=lambda: resource.setrlimit(*limit))
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 1, said
    assert "ulimit -v" in said
    assert "unlimited" in said


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("runs", "show"), "Missing argument 'name'", "see `icectl runs show --help`"),
        (("predict", "front-unet", "--updates"), "Option '--updates' requires an argument",
         "see `icectl predict front-unet --help`"),
        (("glaciers", "remove", "x"), "No such command 'remove'", "see `icectl glaciers --help`"),
        (("models", "add", "no.zip"), "no.zip does not exist", "check the path"),
        (("predict", "front-unet", "--weights", "my/weights"), "my/weights does not exist", "check the path"),
        (("predict", "front-unet", "--weights", "nosuch"), "no weights called 'nosuch'",
         "known: front-mohajerani2019"),
    ],
)  # fmt: skip
def test_hints_name_the_command_the_path_or_the_weights_of_the_model(words, said, hint, cli):
    """'see --help' is no command; names of another model's weights are refused when they are given."""
    shown = cli(*words, ok=False)
    assert (shown.code, shown.err) == (2, f"error: {said}\nhint: {hint}\n")
