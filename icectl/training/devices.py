"""One place that decides device, precision and processes, and keeps the reason as a sentence.

Importing this module is cheap; torch is imported when a decision is asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icectl.errors import UsageError, did_you_mean
from icectl.run import Compute

if TYPE_CHECKING:
    import torch

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
"""The precisions we support, by Fabric's names."""

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where and how work runs, and why.

    `processes` counts the processes on this machine, `threads` those of each process on
    its CPU cores; `reason` is a sentence for the user.
    """

    device: str
    precision: str
    processes: int
    threads: int
    reason: str

    def torch_device(self, index: int = 0) -> torch.device:
        """Return the torch device of the process with local rank `index`."""
        import torch

        return torch.device(self.device, index) if self.device == "cuda" else torch.device(self.device)

    def slowly(self) -> str:
        """Return a sentence where the precision costs time on this machine instead of saving it, or ""."""
        import torch

        if self.device != "cpu" or not self.precision.startswith("bf16"):
            return ""
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return ""
        return f"this processor has no bfloat16: {self.precision} is many times slower than 32-true"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """One device of this machine, as ``icectl devices`` lists it (`memory` in bytes, 0 if unknown)."""

    device: str
    index: int
    name: str
    memory: int
    note: str = ""


def cores() -> int:
    """Return the number of CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def threads_per_process(processes: int) -> int:
    """Share the cores out among `processes`; ``OMP_NUM_THREADS`` wins when it is set."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else max(1, cores() // max(1, processes))


def outer_rank() -> int | None:
    """Return this process's rank when ``torchrun`` or SLURM started several, else None.

    Light: reads environment variables only. Only rank 0 may lock, write or print.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return int(os.environ["RANK"])
    if int(os.environ.get("SLURM_NTASKS", "1") or 1) > 1 and "SLURM_PROCID" in os.environ:
        in_shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
        return None if in_shell else int(os.environ["SLURM_PROCID"])
    return None


def outer_world() -> int:
    """Return how many processes ``torchrun`` or SLURM started; 1 if neither did."""
    name = "WORLD_SIZE" if "TORCHELASTIC_RUN_ID" in os.environ else "SLURM_NTASKS"
    return 1 if outer_rank() is None else int(os.environ[name])


def resolve(compute: Compute) -> Decision:
    """Decide what `compute` means on this machine.

    Raises
    ------
    UsageError
        An unknown device or precision, a precision the device lacks, or more GPUs than there are.
    """
    check_names(compute)
    if compute.processes < 1:
        raise UsageError(f"--processes {compute.processes} is not allowed", "use 1 or more")
    device, why = _choose(compute.device)
    _check_count(device, compute)
    _check_precision(device, compute.precision)
    processes = compute.processes
    threads = threads_per_process(processes)
    plural = "" if processes == 1 else "es"
    reason = f"{why}; {processes} process{plural} of {threads} thread{'' if threads == 1 else 's'}"
    if processes > 1:
        reason += f" over {'nccl' if device == 'cuda' else 'gloo'}"
    reason += f", precision {compute.precision}"
    if outer_rank() is not None:
        reason += f"; rank {outer_rank()} of {outer_world()} started from outside"
    return Decision(
        device=device, precision=compute.precision, processes=processes, threads=threads, reason=reason
    )


def check_names(compute: Compute) -> None:
    """Refuse an unknown device or precision; light, and says nothing of what is here."""
    _known("--device", compute.device, DEVICES)
    _known("--precision", compute.precision, PRECISIONS)


def list_devices() -> list[DeviceInfo]:
    """Return what this machine can compute on, best first."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        capability = f"compute capability {facts.major}.{facts.minor}"
        found.append(
            DeviceInfo(
                device="cuda", index=index, name=facts.name, memory=facts.total_memory, note=capability
            )
        )
    if torch.backends.mps.is_available():
        found.append(DeviceInfo(device="mps", index=0, name="Apple GPU", memory=0, note="no 64-bit floats"))
    note = f"{cores()} cores"
    found.append(DeviceInfo(device="cpu", index=0, name=_cpu_name(), memory=_machine_memory(), note=note))
    return found


def _known(flag: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{flag} {value} is not known", did_you_mean(value, allowed))


def _choose(device: str) -> tuple[str, str]:
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    apple = torch.backends.mps.is_available()
    if device == "auto":
        if gpus:
            return "cuda", f"cuda, since {gpus} CUDA device{'s are' if gpus > 1 else ' is'} here"
        if apple:
            return "mps", "mps, since this is an Apple GPU"
        return "cpu", "cpu, since no GPU is visible to torch"
    if device == "cuda" and not gpus:
        raise UsageError("a GPU was asked for and no CUDA device is visible to torch here", _no_gpu_hint())
    if device == "mps" and not apple:
        raise UsageError("--device mps: there is no Apple GPU here", "use --device cpu")
    return device, f"{device}, as asked"


def _check_count(device: str, compute: Compute) -> None:
    import torch

    if device == "cuda" and compute.processes > torch.cuda.device_count():
        here = torch.cuda.device_count()
        raise UsageError(
            f"{compute.processes} GPUs were asked for and {here} {'is' if here == 1 else 'are'} here",
            f"use --gpus {here}, or --device cpu --processes {compute.processes}",
        )
    if device == "mps" and compute.processes > 1:
        raise UsageError("an Apple GPU runs one process", f"use --device cpu --processes {compute.processes}")


def _check_precision(device: str, precision: str) -> None:
    import torch

    if device == "cpu" and precision.startswith("16"):
        raise UsageError(f"--precision {precision} needs a GPU", "use bf16-mixed or 32-true on a CPU")
    if device == "mps" and precision == "64-true":
        raise UsageError("an Apple GPU has no 64-bit floats", "use --precision 32-true or --device cpu")
    if device == "cuda" and precision.startswith("bf16") and not torch.cuda.is_bf16_supported():
        raise UsageError(f"--precision {precision}: this GPU has no bfloat16", "use 16-mixed or 32-true")


def _no_gpu_hint() -> str:
    import torch

    if torch.version.cuda is None:
        return "this torch was built without CUDA; install a CUDA build, or use --device cpu"
    return "check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES, or use --device cpu --processes 2"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or platform.machine()


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
