"""Devices: what is decided, why, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from icectl.errors import UsageError
from icectl.run import Compute
from icectl.training import list_devices, outer_rank, resolve
from icectl.training.devices import outer_world


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
        facts = SimpleNamespace(name="Fake GPU", total_memory=8 * 2**30, major=7, minor=0)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: facts)

    return pretend


def test_without_a_gpu_auto_is_the_cpu_and_says_so(gpus) -> None:
    gpus(0)
    decision = resolve(Compute())
    assert (decision.device, decision.processes, decision.precision) == ("cpu", 1, "32-true")
    assert (
        decision.reason == "cpu, since no GPU is visible to torch; 1 process of 1 thread, precision 32-true"
    )
    assert decision.torch_device() == torch.device("cpu")


def test_auto_takes_a_gpu(gpus) -> None:
    gpus(2)
    decision = resolve(Compute(processes=2))
    assert decision.device == "cuda"
    assert "2 CUDA devices are here; 2 processes" in decision.reason
    assert "nccl" in decision.reason
    assert decision.torch_device(1) == torch.device("cuda", 1)


def test_more_gpus_than_there_are(gpus) -> None:
    gpus(1)
    assert resolve(Compute()).reason.startswith("cuda, since 1 CUDA device is here; ")
    with pytest.raises(UsageError, match="4 GPUs were asked for and 1 is here") as caught:
        resolve(Compute(device="cuda", processes=4))
    assert caught.value.hint == "use --gpus 1, or --device cpu --processes 4"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (Compute(device="cuda"), "no CUDA device is visible"),
        (Compute(device="mps"), "no Apple GPU"),
        (Compute(device="gpu"), "--device gpu is not known"),
        (Compute(precision="fp16"), "--precision fp16 is not known"),
        (Compute(device="cpu", precision="16-mixed"), "needs a GPU"),
        (Compute(processes=0), "--processes 0"),
    ],
)
def test_refusals_say_what_to_use(gpus, compute: Compute, words: str) -> None:
    gpus(0)
    with pytest.raises(UsageError, match=words) as caught:
        resolve(compute)
    assert caught.value.hint


def test_bfloat16_needs_hardware(gpus) -> None:
    gpus(1)
    with pytest.raises(UsageError, match="no bfloat16"):
        resolve(Compute(precision="bf16-mixed"))


@pytest.mark.parametrize(
    ("has", "precision", "said"),
    [(False, "bf16-mixed", True), (False, "32-true", False), (True, "bf16-mixed", False)],
)
def test_a_processor_without_bfloat16_says_that_it_is_slow(gpus, monkeypatch, has, precision, said) -> None:
    """A U-Net's update took 17 s of such a processor, 1.3 s in single precision."""
    gpus(0)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has)
    words = resolve(Compute(device="cpu", precision=precision)).slowly()
    assert ("no bfloat16" in words and "32-true" in words) == said
    assert bool(words) == said


def test_threads_are_shared_out(gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(0)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("icectl.training.devices.cores", lambda: 8)
    assert [resolve(Compute(processes=n)).threads for n in (1, 2, 3, 16)] == [8, 4, 2, 1]


def test_devices_are_listed_best_first(gpus) -> None:
    gpus(1)
    found = list_devices()
    assert [one.device for one in found] == ["cuda", "cpu"]
    assert found[0].note == "compute capability 7.0"
    assert found[1].memory > 2**28
    assert found[1].name


def test_processes_started_from_outside_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert outer_rank() is None
    assert outer_world() == 1
    with monkeypatch.context() as torchrun:
        for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "3"}.items():
            torchrun.setenv(name, value)
        assert (outer_rank(), outer_world()) == (3, 4)
        assert "rank 3 of 4 started from outside" in resolve(Compute(device="cpu")).reason
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_PROCID", "5")
    assert (outer_rank(), outer_world()) == (5, 8)
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert outer_rank() is None


def test_machines_and_processes_of_each_are_those_that_the_starter_names(monkeypatch) -> None:
    from icectl.training.fabric import _shape

    names = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6", "SLURM_NTASKS": "12", "SLURM_NNODES": "3"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert (_shape(slurm=False), _shape(slurm=True)) == ((2, 3), (4, 3))


def test_listing_and_deciding_names_need_no_torch() -> None:
    """The command line reads these modules at every start; and nothing here needs torchmetrics."""
    code = (
        "import sys, icectl.training, icectl.training.devices as d, icectl.training.meters\n"
        "d.outer_rank(); dir(icectl.training)\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules, 'heavy'\n"
        "sys.modules['torchmetrics'] = None\n"  # as if it were not installed; `make bench` brings it
        "[getattr(icectl.training, name) for name in icectl.training.__all__]\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
