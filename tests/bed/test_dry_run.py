"""What a dry run says of a glacier whose elevation model its file names: no service is asked."""

import subprocess
import sys

PLACE = """
name = "south"
bbox = [-139.2, 60.8, -139.0, 60.9]
dem = "heights.tif"
"""


def test_a_named_elevation_model_is_not_fetched(tmp_path):
    folder = tmp_path / "configs" / "glaciers"
    folder.mkdir(parents=True)
    (folder / "south.toml").write_text(PLACE)
    (folder / "heights.tif").touch()
    words = ("fetch", "inpaint-gan", "--glacier", "south", "--api", "http://127.0.0.1:9/stac", "--dry-run")
    done = subprocess.run(
        [sys.executable, "-m", "icectl", *words, "--workspace", "space"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing is fetched" in " ".join(done.stdout.split())
    assert "127.0.0.1" not in done.stdout + done.stderr
    assert not (tmp_path / "space").exists()
