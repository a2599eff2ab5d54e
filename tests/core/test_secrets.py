"""Passwords and keys in links or in the environment reach no message, record, export or page."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from icectl.errors import redact

SECRET = "qpzm4711"
LINK = f"https://a.example/b.tif?se=2030&sig={SECRET}"


@pytest.mark.parametrize(
    "text",
    [
        f"'https://me:{SECRET}@a.example/b.tif'",
        f"{LINK}&sp=r",
        f"--scenes https:/me:{SECRET}@a.example/b.tif is not a folder",
        f"wss://a.example?X-Amz-Credential={SECRET}",
        f"<https://a.example/x?api_key={SECRET}>",
        f"https://a.example/?access_token={SECRET} and more",
    ],
)
def test_links_lose_what_opens_them_and_nothing_else(text):
    assert redact(text) == text.replace(f"me:{SECRET}", "…").replace(SECRET, "…")


@pytest.mark.parametrize("text", ["mail me@a.example", "keys=3 of 4", "https://a.example/b.tif?page=2", ""])
def test_other_text_stays(text):
    assert redact(text) == text


def test_a_refused_address_is_not_shown_in_full(cli):
    for address in (f"https://me:{SECRET}@a.example", f"https://a.example?key={SECRET}"):
        shown = cli("fetch", "convlstm", "--api", address, ok=False)
        assert (shown.code, "a.example" in shown.err) == (2, True)
        assert SECRET not in shown.out + shown.err


@pytest.mark.parametrize("flag", ["--api", "--scenes", "--from", "--start"])
def test_debug_shows_no_secret_of_what_was_typed(process, flag):
    link = f"https://me:{SECRET}@a.example/stac/v1?sig={SECRET}&token={SECRET}"
    shown = process("fetch" if flag != "--from" else "predict", "convlstm", flag, link, "--debug")
    assert shown.returncode == 2
    assert "Traceback" in shown.stderr
    assert SECRET not in shown.stdout + shown.stderr
    assert SECRET[-4:] not in shown.stdout + shown.stderr  # nor what is left of one that was cut


def test_nothing_that_is_kept_holds_a_secret(cli, tmp_path, monkeypatch):
    """A plugin says what it fetches, and tokens lie in the environment."""
    import toy_plugin

    plain = toy_plugin.Toy.train

    def train(self, run, options):
        run.say(f"reading {LINK}")
        run.warn(f"{LINK} was slow")
        return plain(self, run, options)

    monkeypatch.setattr(toy_plugin.Toy, "train", train)
    for name in ("ICECTL_DRYAD_TOKEN", "PC_SDK_SUBSCRIPTION_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    shown = cli("run", "toy", "--glacier", "demo")
    assert "reading https://a.example/b.tif?se=2030&sig=…" in shown.err
    run = next(tmp_path.glob("icectl-workspace/runs/toy/demo/*"))
    cli("export", str(run), "--out", "toy.zip")
    with zipfile.ZipFile("toy.zip") as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    kept |= {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert any(name.endswith("report.html") for name in kept)
    assert "was slow" in kept[str(run / "stage.json")].decode()
    assert SECRET not in shown.out + shown.err
    found = [name for name, data in kept.items() if SECRET.encode() in data]
    assert not found


def test_the_recorded_command_keeps_a_link_without_its_key(cli):
    run = Path(cli("train", "toy", "--bands", LINK, "--json").json["run"])
    for name in ("run.json", "stage.json"):
        command = json.loads((run / name).read_text())["command"]
        assert "a.example/b.tif?se=2030&sig=…" in command
        assert SECRET not in command
