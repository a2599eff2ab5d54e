"""Flags from options: every type that a plugin may use, and what cannot be a flag."""

from __future__ import annotations

import datetime
import enum
import pickle
import re
import sys
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from icectl import registry
from icectl.cli import flags, options, verbs
from icectl.contract import VERBS, BatchSize, Options, Plugin
from icectl.errors import UsageError, did_you_mean
from icectl.run import Run
from icectl.settings import Glacier, load_glacier
from icectl.tasks.encoders import FileOrAddress


class Side(enum.Enum):
    north = "n"
    south = "s"


class Nested(BaseModel):
    a: int = 1


@pytest.mark.parametrize(
    ("annotation", "kind", "choices"),
    [
        (int, str, []),
        (bool, bool, []),
        (Path | None, Path, []),
        (float | None, str, []),
        (datetime.date, str, []),
        (Side, str, ["n", "s"]),
        (Literal["a", "b"] | None, str, ["a", "b"]),
        (int | Literal["auto"], str, []),
        (FileOrAddress | None, str, []),
        (list[float], list[str], []),
        (tuple[Literal["a", "b"], ...], list[str], ["a", "b"]),
        (tuple[int, int], tuple[str, str], []),
        (Nested, None, []),
        (list[Nested], None, []),
        (int | Nested, None, []),
        (dict[str, int], None, []),
    ],
)
def test_types(annotation, kind, choices):
    assert flags.flag_type(annotation) == (kind, choices)


def test_help_names_bounds_and_defaults():
    class Some(Options):
        share: float = Field(0.5, gt=0, le=1, description="A share.")
        bands: tuple[str, ...] = Field(("red", "nir"), description="Bands.")
        name: str | None = Field(None, description="A name.")
        nested: Nested = Field(default_factory=Nested, description="Only for files.")

    fields = Some.model_fields
    assert flags.describe(fields["share"], 0.5) == "A share. (0 < x ≤ 1; default 0.5)"
    assert flags.describe(fields["bands"], flags.default_of(Some, "bands")) == "Bands. (default red, nir)"
    assert flags.describe(fields["name"]) == "A name."
    plugin = Plugin(name="x", summary="x", task="x", model="x:X", stages=dict.fromkeys(VERBS, Some))
    assert [p.name for p in flags.parameters(plugin, VERBS)] == ["share", "bands", "name"]


@pytest.mark.parametrize(("typed", "kept"), [("auto", 0), ("12", 12), (3, 3)])
def test_a_batch_may_be_automatic(typed, kept):
    class Some(Options):
        batch_size: BatchSize = Field(8, ge=0, description="A batch.")

    assert Some(batch_size=typed).batch_size == kept
    with pytest.raises(ValueError, match="give a number, or auto"):
        Some(batch_size="much")


def test_wrong_batches_are_worded(cli):
    for typed, words in (("much", "give a number, or auto"), ("-2", "give 0 or more")):
        refused = cli("train", "lstm", "--batch-size", typed, ok=False)
        assert refused.code == 2
        assert f"--batch-size {typed} is not allowed" in refused.err
        assert f"hint: {words}" in refused.err or words in refused.err
        assert "Value error" not in refused.err


def test_every_option_of_a_crs_refuses_one_that_does_not_exist(toy):
    plugins = [found.plugin for found in registry.plugins() if found.plugin]
    kinds = {Glacier, *(kind for plugin in plugins for kind in plugin.stages.values())}
    found = [(kind, n) for kind in kinds for n in kind.model_fields if n == "crs" or n.endswith("_crs")]
    assert len(found) == 7
    for kind, name in found:
        for crs, words in (("EPSG:999999", "no CRS that PROJ knows"), ("EPSG:5773", "EGM96 height")):
            with pytest.raises(ValidationError, match=words):
                kind.model_validate({"name": "x", name: crs} if kind is Glacier else {name: crs})


def test_a_plugin_that_takes_a_shared_flag_is_refused(cli, monkeypatch):
    from dataclasses import replace

    import toy_plugin

    from icectl import registry

    class Greedy(Options):
        workspace: str = Field("", description="Taken.")

    stages = {**toy_plugin.plugin.stages, "fetch": Greedy}
    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, stages=stages))
    registry.refresh()
    refused = cli("fetch", "toy", ok=False)
    assert (refused.code, "reserved option name 'workspace'" in refused.err) == (2, True)


def test_a_broken_plugin_is_marked_where_models_are_listed(process):
    done = process("train", "--help", ICECTL_PLUGINS="toy=toy_plugin:plugin,odd=absent_module:plugin")
    assert done.returncode == 0, done.stderr
    assert "(broken)" in done.stdout
    assert "convlstm" in done.stdout


@pytest.mark.parametrize("arguments", [["train"], ["train", "--gpus", "2", "--help"]])
def test_a_verb_alone_shows_its_help(cli, arguments):
    shown = cli(*arguments, ok=False)
    assert shown.code == 0
    assert "convlstm" in shown.out


def test_debug_shows_where_it_went_wrong(process):
    done = process("train", "tyo", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "did you mean" in process("train", "tyo").stderr


def test_an_interruption_says_how_to_go_on(cli, monkeypatch):
    from toy_plugin import Toy

    def stop(self, run, options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Toy, "fetch", stop)
    shown = cli("fetch", "toy", ok=False)
    assert (shown.code, "error: interrupted" in shown.err, "goes on" in shown.err) == (130, True, True)


def test_errors_keep_their_hint_across_processes():
    again = pickle.loads(pickle.dumps(UsageError("no such thing", "take another")))
    assert (str(again), again.hint, again.exit_code) == ("no such thing", "take another", 2)


def test_suggestions():
    assert did_you_mean("convlsmt", ["convlstm", "unet"]) == "did you mean 'convlstm'?"
    assert did_you_mean("xyz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("xyz", []) == "nothing of that kind is known here"


def test_a_bar_appears_on_a_terminal_after_a_while_only(toy, tmp_path, monkeypatch, capsys):
    from icectl import registry

    run = Run(verb="fetch", plugin=registry.get("toy"), glacier=load_glacier("demo"), out=tmp_path)
    with run.progress("reading", total=3) as advance:
        advance()
    assert capsys.readouterr().err == ""  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("icectl.run.PROGRESS_AFTER", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with run.progress("reading", total=3) as advance:
        advance()
        advance(title="writing")
    assert "reading" in capsys.readouterr().err
    with run.at(quiet=True).progress("reading") as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_help_shows_every_word_that_was_written():
    """Help is read as markup, which takes words in square brackets for styles and drops them."""
    import typer
    from rich.text import Text

    from icectl.cli.app import app

    def options(command):
        yield from command.params
        for name in getattr(command, "commands", {}):
            yield from options(command.commands[name])

    helped = [option for option in options(typer.main.get_command(app)) if getattr(option, "help", None)]
    assert len(helped) > 500
    for option in helped:
        assert Text.from_markup(option.help).plain == option.help.replace(r"\[", "["), option.name


def test_help_escapes_square_brackets_of_a_plugin():
    class Some(Options):
        height: float = Field(1.0, description="Height [m].")

    stages = dict.fromkeys(VERBS, Some)
    plugin = Plugin(name="p", summary="s", task="t", model="m:M", stages=stages)
    (parameter,) = flags.parameters(plugin, ["train"])
    assert parameter.annotation.__metadata__[0].help.startswith(r"Height \[m].")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fill", "convlstm"],
        ["--no-fill", "convlstm"],
        ["--no-count-filled", "-q", "convlstm"],
        ["--seed=3", "--no-chain", "convlstm"],
        ["--seed", "3", "convlstm", "--fill"],
    ],
)
def test_the_model_may_follow_any_switch(arguments):
    """Which flags take no value is asked of the model's own options."""
    from icectl.cli import verbs
    from icectl.cli.asked import Files

    found = verbs.arrange("train", [*arguments], Files())
    assert found == ["convlstm", *(word for word in arguments if word != "convlstm")]


@pytest.mark.parametrize("flag", ["--run", "--glacier"])
def test_a_value_that_reads_like_a_model_is_a_value(flag):
    from icectl.cli import verbs
    from icectl.cli.asked import Files

    assert verbs.arrange("predict", [flag, "lstm", "unet"], Files())[0] == "unet"


def test_each_settings_file_is_read_once(cli, monkeypatch):
    from icectl import settings

    read, original = [], settings.read_toml
    monkeypatch.setattr(settings, "read_toml", lambda path: read.append(path.name) or original(path))
    Path("mine").mkdir()
    cli("prepare", "--glacier", "parvati", "--scenes", "mine", "--dry-run", ok=False)
    assert read == ["parvati.toml"]
    read.clear()
    cli("train", "--experiment", "mueller2023-parvati", "--scenes", "mine", "--dry-run", ok=False)
    assert sorted(read) == ["mueller2023-parvati.toml", "parvati.toml"]


def test_a_preset_wins_over_the_file_of_the_glacier(cli):
    """The demo glacier's file asks for patches of 16, which the paper's five heads do not divide."""
    cli("train", "salstm", "--glacier", "demo", "--preset", "paper", "--dry-run")


def test_the_path_of_prepare_passes_few_files(process):
    """Files whose functions run from the first word typed to the model's own `prepare`.

    The workspace (locks, whole files, checksums) and the meter are called on the way, but decide nothing.
    """
    code = """
import inspect, os, sys
from pathlib import Path
import icectl
out = os.fdopen(os.dup(1), "wb")
home, passed = Path(icectl.__file__).parent, set()

def watch(frame, event, argument):
    file = Path(frame.f_code.co_filename)
    function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # not the body of a module or a class
    if event == "call" and function and home in file.parents:
        passed.add(str(file.relative_to(home)))

from toy_plugin import Toy
def stop(self, run, options):
    sys.setprofile(None)
    out.write(" ".join(map(str, [len(passed), *sorted(passed)])).encode())
    out.flush()
    os._exit(0)  # the words and the exits of a plugin are caught

Toy.prepare = stop
sys.setprofile(watch)
from icectl.cli import main
main()
"""
    assert process("fetch", "toy", "--glacier", "parvati").returncode == 0
    done = process("prepare", "--glacier", "parvati", "toy", code=code)
    passed = done.stdout.split()
    deciding = [file for file in passed[1:] if not file.startswith(("workspace/", "training/"))]
    assert 10 < len(deciding) <= 25, deciding
    assert int(passed[0]) <= 32, passed


def test_help_shows_the_default_of_the_default_preset():
    from toy_plugin import Train

    assert flags.default_of(Train, "epochs") == 1  # the field's own default is 2
    assert flags.default_of(Train, "rate") == 0.1


def test_help_is_short_and_all_of_it_is_one_word_away(process):
    short = process("evaluate", "deeplab", "--help").stdout
    everything = process("evaluate", "deeplab", "--help-all").stdout
    assert all(word in short for word in ("--weights", "--flow", "--resolution", "--fjord"))
    assert short.count(" --") <= 13  # ten, --help, and two in sentences
    assert "more options: icectl evaluate deeplab-xception --help-all" in short
    assert "--bootstrap" not in short
    assert "--bootstrap" in everything
    assert everything.count(" --") > 60
    boxes = re.findall(r"╭─ (\S+) ─", everything)
    assert boxes == ["Options", *options.GROUPS]


def test_help_shows_the_ten_that_people_need_of_every_model_and_verb():
    listed, known = set(), set()
    for verb in verbs.SUMMARIES:
        listed |= set(verbs.shown(verb))
        for plugin in registry.usable():
            names = {p.name for p in verbs.command(verb, plugin).params} & set(verbs.shown(verb))
            assert 3 <= len(names) <= 10, (verb, plugin.name, names)
            known |= names
    assert known == listed, "a name that no model has"


def test_options_are_in_the_groups_of_the_issue_wherever_they_come_from():
    class Train(Options):
        width: int = 8
        l2_weight: float = 0.1
        test_share: float = 0.2
        teacher: Path | None = None

    found = {name: flags.group("train", name, field) for name, field in Train.model_fields.items()}
    assert found == {
        "width": "Network", "l2_weight": "Optimisation", "test_share": "Data", "teacher": "Data",
    }  # fmt: skip
    assert flags.group("predict", "width", Train.model_fields["width"]) == "Post-processing"
    assert flags.group("evaluate", "width", Train.model_fields["width"]) == "Output"


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (["predict", "toy", "--scenes", "--dry-run"], "--scenes is given no value", "--dry-run is an option"),
        (["train", "toy", "--words", "--dry-run"], "--words is given no value", "--dry-run is an option"),
        (["predict", "--outlines", "x.gpkg"], "has no option --outlines", "inpaint-gan"),
        (
            ["prepare", "inpaint-gan", "--dem", "x.tif"],
            "has no option --dem",
            "to icectl predict inpaint-gan or",
        ),
        (
            ["train", "svg", "--no-forecast"],
            "svg has no option --no-forecast",
            "give it to icectl predict svg",
        ),
        (["train", "toy", "--banana", "3"], "No such option: --banana", "--help"),
        (["predict", "inpaint-gan", "--outlines", "x"], "--outlines is given and no --dem", "give --dem"),
        (["evaluate", "front-unet", "--labels", "x"], "--labels is given and no --scenes", "give --scenes"),
    ],
)
def test_a_forgotten_value_and_an_option_of_another_model_are_named(cli, words, sentence, hint):
    refused = cli(*words, ok=False)
    assert (refused.code, sentence in refused.err, hint in refused.err) == (2, True, True), refused.err
