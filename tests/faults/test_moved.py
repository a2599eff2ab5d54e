"""A workspace that was moved to another folder works whole: no record names the old place."""

from __future__ import annotations

import pytest
from terminal import terminal

MADE = {
    "front-unet": ("--size", "64", "--years", "1", "--worlds", "1"),
    "svg": ("--size", "128", "--frames", "3", "--chips", "0"),
}


@pytest.mark.parametrize("model", MADE)
def test_no_record_names_the_old_folder_and_the_next_stage_works(monkeypatch, capfd, tmp_path, model):
    icectl, words = terminal(monkeypatch, capfd), ("--source", "synthetic", *MADE[model])
    old, new = tmp_path / "old", tmp_path / "new"
    monkeypatch.setenv("ICECTL_WORKSPACE", str(old))  # what was typed stays in a record as it was typed
    icectl("prepare", model, *words)
    old.rename(new)
    for path in new.rglob("*"):
        if path.suffix in (".json", ".txt", ".csv", ".toml"):
            assert str(old) not in path.read_text(encoding="utf-8"), path
    monkeypatch.setenv("ICECTL_WORKSPACE", str(new))
    again = icectl("prepare", model, *words, "--force")
    assert "needs fetch" not in again.err  # what was fetched is found where it lies now
    assert not old.exists()
