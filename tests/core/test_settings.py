"""Settings: shipped, user's and working folder's; every error names file and key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from icectl import settings
from icectl.errors import DataError, UsageError


def test_shipped_places_load_and_say_where_their_numbers_come_from():
    names = set(settings.available("glaciers"))
    assert {"parvati", "aletsch", "byrd", "helheim", "jakobshavn", "demo"} <= names
    for name in names:
        assert settings.load_glacier(name).note
    assert settings.load_glacier("byrd").wrs2 == (54, 118)


def test_stronger_folders_win(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    user = Path(os.environ["XDG_CONFIG_HOME"]) / "icectl" / "glaciers"
    user.mkdir(parents=True)
    (user / "parvati.toml").write_text("title = 'the user says'")
    assert settings.load_glacier("parvati").title == "the user says"
    (tmp_path / "configs" / "glaciers").mkdir(parents=True)
    (tmp_path / "configs" / "glaciers" / "parvati.toml").write_text("title = 'this folder says'")
    assert settings.load_glacier("parvati").title == "this folder says"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("titel = 'x'", UsageError, ["here.toml", "unknown key 'titel'", "did you mean 'title'?"]),
        ("crs = 'x'\ntitle == 2", DataError, ["here.toml", "not valid TOML", "line 2"]),
        ("resolution = -1", UsageError, ["here.toml", "resolution = -1", "give more than 0"]),
        ("bbox = [9, 46, 8, 47]", UsageError, ["here.toml", "west < east"]),
    ],
)
def test_errors_name_the_file_the_key_and_the_nearest(tmp_path, monkeypatch, text, kind, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "glaciers").mkdir(parents=True)
    (tmp_path / "configs" / "glaciers" / "here.toml").write_text(text)
    with pytest.raises(kind) as caught:
        settings.load_glacier("here")
    for word in words:
        assert word in f"{caught.value.message} {caught.value.hint}"


def test_paths_in_a_glacier_file_start_at_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "glaciers"
    folder.mkdir(parents=True)
    (folder / "here.toml").write_text("outline = 'o.gpkg'")
    assert settings.load_glacier("here").outline == folder / "o.gpkg"


def test_every_shipped_experiment_names_known_options():
    from icectl import registry
    from icectl.contract import VERBS

    for name in settings.available("experiments"):
        experiment = settings.load_experiment(name)
        plugin = registry.get(experiment.model)
        for verb in VERBS:
            plugin.stages[verb].model_validate(experiment.stage(verb))


def test_experiment_errors_name_the_experiment(cli, tmp_path):
    (tmp_path / "mine.toml").write_text("model = 'toy'\n[train]\nepoch = 3\n")
    shown = cli("train", "--experiment", "mine.toml", ok=False)
    assert shown.code == 2
    assert "experiment 'mine', [train]: unknown key 'epoch'" in shown.err
    assert "did you mean 'epochs'?" in shown.err


def test_flags_win_over_files_and_presets_over_weaker_layers(cli, tmp_path):
    (tmp_path / "mine.toml").write_text(
        "model = 'toy'\nglacier = 'demo'\nseed = 4\n[train]\nepochs = 3\nrate = 0.2\n"
    )
    options = cli("train", "--experiment", "mine.toml", "--epochs", "5", "--json").json["record"]["options"]
    assert (options["epochs"], options["rate"]) == (5, 0.2)
    paper = cli("train", "--experiment", "mine.toml", "--preset", "paper", "--json").json["record"]
    assert (paper["options"]["epochs"], paper["options"]["rate"], paper["seed"]) == (40, 0.5, 4)


def test_an_interrupt_while_settings_are_checked_is_an_interrupt():
    """Pydantic lost one in ten that came while it built a pattern, which then refused what was right."""
    moments = """
import os, random, signal, time
from icectl import settings
random.seed(0)
ended = set()
for _ in range(60):
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # callbacks of fork swallow it
            if not os.fork():
                time.sleep(random.uniform(1e-4, 1.2e-2))
                os.kill(os.getppid(), signal.SIGINT)
                os._exit(0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            settings.validate(settings.Glacier, {"name": "demo", "crs": "EPSG:32643"}, "demo.toml")
            for _ in range(200):
                time.sleep(0.01)
        except KeyboardInterrupt:
            os._exit(0)
        except BaseException as error:
            print(error, flush=True)
        os._exit(1)
    ended.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(ended)
"""
    done = subprocess.run([sys.executable, "-c", moments], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[-2] == "{0}", done.stdout
