"""The command line from outside: names, flags, errors, completion, start-up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PROBE = """
import atexit, sys
heavy = {"torch", "numpy", "rasterio", "cv2", "xarray", "icectl.report.panels"}
atexit.register(lambda: print("HEAVY", sorted(heavy & set(sys.modules)), file=sys.stderr))
from icectl.cli import main
main()
"""


def test_model_may_be_an_alias_or_left_out_or_come_late(cli):
    cli("glaciers", "add", "mine", "--bbox", "7", "46", "8", "47", "--model", "toy")
    by_alias = cli("fetch", "plaything", "--glacier", "mine", "--json").json
    left_out = cli("fetch", "--glacier", "mine", "--json").json
    late = cli("fetch", "--words", "3", "toy", "--glacier", "mine", "--json").json
    assert by_alias["folder"] == left_out["folder"] == late["folder"]


def test_help_lists_the_verbs_in_the_order_of_work_and_first(cli):
    shown = cli("--help").out
    verbs = [
        shown.index(f"│ {verb} ") for verb in ("fetch", "prepare", "train", "predict", "evaluate", "run")
    ]
    assert verbs == sorted(verbs)
    assert verbs[-1] < shown.index("│ compare ")


def test_a_listing_keeps_paths_in_one_piece(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    folder = cli("fetch", "toy", "--dry-run", "--json").json["steps"][0]["folder"]
    assert len(folder) > 60
    assert folder in cli("fetch", "toy", "--dry-run").out


def test_options_before_the_model_are_kept(cli):
    plan = cli("train", "--epochs", "9", "toy", "--dry-run", "--json").json
    other = cli("train", "toy", "--epochs", "9", "--dry-run", "--json").json
    third = cli("train", "toy", "--dry-run", "--json").json
    assert plan["steps"][-1]["folder"] == other["steps"][-1]["folder"] != third["steps"][-1]["folder"]


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["train", "tyo"], "unknown model 'tyo'", "did you mean 'toy'?"),
        (["fetch", "toy", "--glacier", "dmo"], "unknown glacier 'dmo'", "did you mean 'demo'?"),
        (["train", "toy", "--epoch", "3"], "No such option: --epoch", "--epochs"),
        (["train", "toy", "--epochs", "x"], "--epochs x is not allowed", "give a whole number"),
        (["train", "toy", "--epochs", "0"], "--epochs 0 is not allowed", "give 1 or more"),
        (["train", "toy", "--preset", "huge"], "--preset huge is not allowed", "give small or paper"),
        (["train", "toy", "--seed", "x"], "--seed x is not allowed", "hint: give a whole number\n"),
        (["train", "toy", "--seed", "-1"], "--seed -1 is not allowed", "hint: give 0 or more\n"),
        (["train", "toy", "--gpus", "some"], "--gpus some is not allowed", "hint: give a whole number\n"),
        (
            ["glaciers", "add", "x", "--bbox", "a", "b", "c", "d"],
            "--bbox a is not allowed",
            "hint: give a number\n",
        ),
        (
            ["glaciers", "add", "demo", "--bbox", "7", "46", "8", "47"],
            "demo.toml is there already",
            "--force",
        ),
        (["train", "toy", "--experiment", "no.toml"], "no.toml does not exist", "hint: check the path\n"),
        (["models", "add", "no.zip"], "no.zip does not exist", "hint: check the path\n"),
        (["models", "show", "./no"], "./no does not exist", "hint: check the path\n"),
        (
            ["models", "add", "10.5281/zenodo.1"],
            "doi:10.5281/zenodo.1 names no file",
            "doi:10.5281/zenodo.123/",
        ),
        (["report"], "there is no run in ", "hint: icectl demo makes one; --workspace names another place"),
        (
            ["fetch", "convlstm", "--start", "then"],
            "--start then is not allowed",
            "give a date, e.g. 2019-07-31",
        ),
        (["predict", "inpaint-gan", "--region", "x"], "--region x is not allowed", "RGI region, e.g. 11."),
        (["tran", "toy"], "No such command 'tran'", "did you mean 'train'"),
        (["fetch", "toy", "--scenes", "nowhere"], "--scenes nowhere is not a folder", "rasters"),
        (["fetch", "toy", "--extra", "nowhere"], "nowhere does not exist", "check the path"),
        (["train", "toy", "--gpus", "2", "--device", "cpu"], "contradict", "one of them"),
        (["train", "toy", "--device", "cda"], "--device cda is not known", "did you mean 'cuda'?"),
        (["train", "toy", "--precision", "8", "--dry-run"], "--precision 8 is not known", "bf16-mixed"),
        (["glaciers", "add", "x"], "a glacier needs a place", "--bbox"),
        (
            ["glaciers", "add", "Bad/Name", "--bbox", "7", "46", "8", "47"],
            "name = 'Bad/Name'",
            "small letters",
        ),
        (["glaciers", "add", "x", "--bbox", "9", "46", "8", "47"], "bbox", "as in 179 66 -179 67\n"),
        (
            ["fetch", "convlstm", "--start", "2020-01-01", "--end", "2019-01-01"],
            "options do not go together: start (2020-01-01) must lie before end (2019-01-01)",
            "change one of them",
        ),
        (["completions", "tcsh"], "no completion for the shell 'tcsh'", "bash"),
    ],
)
def test_wrong_use_gets_one_sentence_and_a_hint(cli, arguments, sentence, hint):
    shown = cli(*arguments, ok=False)
    assert shown.code == 2
    assert shown.err.startswith("error: ")
    assert sentence in shown.err.splitlines()[0]
    assert hint in shown.err
    assert "should" not in shown.err  # pydantic's wording
    assert not Path("icectl-workspace").exists()


def test_all_help_shows_every_option_with_bounds(process):
    shown = process("train", "toy", "--help-all").stdout
    assert "--words" not in process("train", "toy", "--help").stdout  # what few people need is for --help-all
    for text in (
        "--epochs",
        "Passes over the data. (1 ≤ x; default 1)",
        "[small|paper]",
        "--words",
        "Optimisation",
    ):
        assert text in shown, text


def test_light_commands_import_neither_torch_nor_numpy(process):
    for arguments in (
        ["--help"],
        ["--version"],
        ["plugins", "list"],
        ["glaciers", "list"],
        ["runs", "list"],
        ["train", "--help"],
        ["train", "convlstm", "--help"],
        ["train", "convlstm", "--dry-run"],
        ["run", "deeplab", "--dry-run"],
        ["run", "svg", "--dry-run"],
        ["run", "inpaint-gan", "--dry-run"],
        ["train", "toy", "--dry-run"],
    ):
        done = process(*arguments, code=PROBE)
        assert done.returncode == 0, done.stderr
        assert "HEAVY []" in done.stderr, arguments


def test_completion_knows_models_and_glaciers_without_torch(process):
    def complete(line: str) -> str:
        done = process(
            code=PROBE,
            _ICECTL_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(len(line.split(" ")) - 1),
        )
        assert "HEAVY []" in done.stderr, done.stderr
        return done.stdout

    assert complete("icectl train conv").split() == ["convlstm"]
    assert complete("icectl fetch toy --glacier parv").split() == ["parvati"]
    assert complete("icectl fetch --glacier parv").split() == ["parvati"]
    assert complete("icectl fetch toy --glacier = parv").split() == ["parvati"]
    assert "mueller2023-parvati" in complete("icectl run --experiment mueller").split()
    for line in ("predict --run ", "evaluate toy --run la", "report la", "export la", "runs show "):
        assert "last" in complete(f"icectl {line}").split(), line
    assert "--epochs" in complete("icectl train toy --ep")
    assert complete("icectl train toy --preset ").split() == ["small", "paper"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shipped_completions_are_what_the_command_prints(process, shell):
    name = {"bash": "icectl.bash", "zsh": "_icectl", "fish": "icectl.fish"}[shell]
    assert process("completions", shell).stdout == (ROOT / "completions" / name).read_text()


def test_unexpected_errors_have_no_traceback_unless_asked(cli, monkeypatch):
    from toy_plugin import Toy

    def broken(self, run, options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(Toy, "fetch", broken)
    shown = cli("fetch", "toy", ok=False)
    assert shown.code == 1
    assert "unexpected ZeroDivisionError: oh" in shown.err
    assert "--debug" in shown.err


def test_version(process):
    assert process("--version").stdout.startswith("icectl 0.")


def test_a_wide_table_keeps_names_whole_and_says_what_it_leaves_out(capsys, monkeypatch):
    from icectl.cli import show

    columns = [
        {"key": f"k{i}", "label": f"a long label {i}", "unit": "m", "better": "lower"} for i in range(9)
    ]
    row = {"name": "same season last year", "kind": "baseline", "values": {f"k{i}": 1.5 for i in range(9)}}
    table = {"title": "T", "columns": columns, "rows": [row], "primary": "k0", "note": ""}
    monkeypatch.setenv("COLUMNS", "80")
    show.metrics({"tables": [table], "notes": []})
    shown = capsys.readouterr().out
    assert "same season last year" in shown
    assert "more columns with --json" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_terminal_of_40_columns_shows_numbers_and_whole_names_of_options(capfd, monkeypatch, cli):
    from icectl.cli import show

    columns = [{"key": k, "label": k, "unit": "", "better": "lower"} for k in ("MSE", "MAE", "skill")]
    row = {"name": "climatology (mean of the past)", "kind": "baseline", "values": {"MSE": 0.031, "MAE": 0.2}}
    table = {"title": "T", "columns": columns, "rows": [row], "primary": "MSE", "note": ""}
    monkeypatch.setenv("COLUMNS", "40")
    show.metrics({"tables": [table], "notes": []})
    shown = capfd.readouterr().out
    assert "0.031" in shown
    assert max(map(len, shown.splitlines()[:3])) <= 40
    show.metrics({"tables": [{**table, "primary": "MAE"}], "notes": []})  # what the verdict is about
    assert "0.2" in capfd.readouterr().out
    for words in (["models", "list"], ["glaciers", "list"], ["train", "toy", "--dry-run"], ["doctor"]):
        lines = cli(*words).out.splitlines()
        assert [line for line in lines if len(line) > 40 and " " in line.strip()] == [], words
    assert "  model: front-unet\n  licence: CC-BY-4.0\n" in cli("models", "list").out
    said = cli("train", "deeplab", "--help-all").out
    for option in ("--experiment", "--batch-size", "--from", "--device"):
        assert option in said
    assert "\\[" not in said
    words = said.replace("tu-…", "").replace("…vx…", "").replace("…vy…", "").replace("…)", "")
    assert "…" not in words  # but for those of the descriptions


@pytest.fixture
def ours(tmp_path) -> str:
    """A search path on which `icectl` is the code under test."""
    command = tmp_path / "icectl"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m icectl "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train toy --glacier = parv", "parvati"),
        ("train --gpus = 2 conv", "convlstm"),
        ("train ice", "icectl:convlstm"),
        ("train icectl : con", "convlstm"),  # bash replaces what stands behind the colon alone
        ("plugins show icectl : con", "convlstm"),
        ("train icectl : convlstm --preset sm", "small"),
    ],
)
def test_bash_cuts_words_at_equals_signs_and_colons(toy, monkeypatch, ours, words, offered):
    """The shipped script is given words as bash has them; a name that two plugins have has a long form."""
    monkeypatch.setenv("ICECTL_PLUGINS", "convlstm=toy_plugin:plugin,toy=toy_plugin:plugin")
    cut = f"COMP_WORDS=(icectl {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))"
    script = f"source {ROOT}/completions/icectl.bash; _icectl_completion icectl"
    asked = ["bash", "-c", f'{cut}; {script}; echo "${{COMPREPLY[*]}}"']
    done = subprocess.run(
        asked, env={**os.environ, "PATH": ours}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [offered], (done.stdout, done.stderr)


IN_ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; PROMPT=RE''ADY"
zpty -r -m z seen '*READY*'
zpty -w -n z $'{line}\\t'
repeat 600; do
    sleep 0.1
    while zpty -r -t z part; do seen+=$part; done
    [[ $seen == *parvati* ]] && break
done
print -r -- $seen
"""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("line", ["icectl train --glacier=parv", "icectl train toy --glacier parv"])
def test_completion_works_in_the_shell_itself(shell, line, ours, toy):
    """zsh is typed to, fish asked what it would offer."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder = ROOT / "completions"
    asked = f"source {folder}/icectl.fish; complete -C '{line}'"
    asked = IN_ZSH.format(folder=folder, line=line) if shell == "zsh" else asked
    bare = ["-f", "-c"] if shell == "zsh" else ["--no-config", "-c"]
    done = subprocess.run(
        [shell, *bare, asked], env={**os.environ, "PATH": ours}, capture_output=True, text=True, check=False
    )
    assert ("--glacier=parvati" if "=" in line else "parvati") in done.stdout, (done.stdout, done.stderr)
