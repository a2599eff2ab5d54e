"""Processes that ``torchrun`` or SLURM started are used as they are."""

from __future__ import annotations

import os
import socket
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
settings = FitSettings(max_updates=4, log_every=1)
launch(tiny.train_masked, tiny.run_in(Path(sys.argv[1])), settings)
"""


@pytest.mark.slow
def test_torchrun_gives_what_one_process_gives(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(tiny.__file__).parent)}
    subprocess.run([*command, str(script), str(tmp_path / "two")], check=True, env=environment, timeout=240)
    settings = FitSettings(max_updates=4, log_every=1)
    launch(tiny.train_masked, tiny.run_in(tmp_path / "one"), settings)
    first, second = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("one", "two"))
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-4
    assert len(read(tmp_path / "two" / "log.jsonl")) == len(read(tmp_path / "one" / "log.jsonl"))


@pytest.mark.slow
def test_slurm_gives_what_one_process_gives(tmp_path: Path) -> None:
    """Two tasks with the variables that ``srun`` sets; torch's rendezvous is real."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    job = {
        "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "1",
        "SLURM_NTASKS_PER_NODE": "2", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(Path(tiny.__file__).parent),
    }  # fmt: skip
    command = [sys.executable, str(script), str(tmp_path / "two")]
    tasks = [
        subprocess.Popen(
            command, env={**os.environ, **job, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        )
        for rank in (0, 1)
    ]
    try:
        assert [task.wait(timeout=240) for task in tasks] == [0, 0]
    finally:
        for task in tasks:
            task.kill()
    settings = FitSettings(max_updates=4, log_every=1)
    launch(tiny.train_masked, tiny.run_in(tmp_path / "one"), settings)
    first, second = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("one", "two"))
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-4
    assert len(read(tmp_path / "two" / "log.jsonl")) == len(read(tmp_path / "one" / "log.jsonl"))
