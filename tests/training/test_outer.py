"""Processes that ``torchrun`` started are used as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from icectl.training import FitSettings, launch, load_weights
from icectl.training.record import read

SCRIPT = """
import sys
from pathlib import Path
import tiny
from icectl.training import FitSettings, launch
settings = FitSettings(max_updates=4, log_every=1, tensorboard=False)
launch(tiny.train_masked, tiny.run_in(Path(sys.argv[1])), settings)
"""


@pytest.mark.slow
def test_torchrun_gives_what_one_process_gives(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(tiny.__file__).parent)}
    subprocess.run([*command, str(script), str(tmp_path / "two")], check=True, env=environment, timeout=240)
    settings = FitSettings(max_updates=4, log_every=1, tensorboard=False)
    launch(tiny.train_masked, tiny.run_in(tmp_path / "one"), settings)
    first, second = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("one", "two"))
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-4
    assert len(read(tmp_path / "two" / "log.jsonl")) == len(read(tmp_path / "one" / "log.jsonl"))
