"""What a stage costs: wall time, peak memory, energy and CO2e.

Energy comes from the machine's own counters (RAPL for processors, NVML for NVIDIA GPUs), else from a
plain, labelled estimate.
"""

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from icectl.training import energy

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Meter:
    """Measures a block of work.

    Parameters
    ----------
    method
        ``"auto"``, ``"estimate"`` or ``"off"``; ``$ICECTL_ENERGY`` when None.

    Examples
    --------
    >>> with Meter(method="estimate") as meter:
    ...     _ = sum(range(1000))
    >>> sorted(meter.facts())[:3]
    ['co2e_g', 'energy_kwh', 'energy_source']
    """

    def __init__(self, method: str | None = None) -> None:
        self._energy = energy.Energy(method or os.environ.get("ICECTL_ENERGY", "auto"))
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        _forget_peak()
        self._started, self._cpu = time.monotonic(), _cpu_seconds()
        self._energy.start()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._started
        kwh, source = self._energy.stop(seconds, _cpu_seconds() - self._cpu)
        self._facts = {
            "seconds": round(seconds, 3),
            "peak_memory": peak_memory(),
            "peak_device_memory": _peak_device_memory(),
            "energy_kwh": kwh,
            "energy_source": source,
            "co2e_g": None if kwh is None else kwh * energy.WORLD_G_PER_KWH,
            "g_per_kwh": energy.WORLD_G_PER_KWH,
        }

    def facts(self) -> dict[str, Any]:
        """Return seconds, peak memory (bytes; host and device), energy (kWh), CO2e (g) and their source."""
        return dict(self._facts)


def peak_memory() -> int:
    """Return the peak resident memory in bytes: of this process, or of its largest finished child."""
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    own, children = (resource.getrusage(who).ru_maxrss * _RSS_UNIT for who in both)
    return max(told(_STATUS, "VmHWM") or own, children)


def told(file: Path, name: str) -> int:
    """Return the bytes that Linux gives after `name` in a file of ``/proc``; 0 without such a line."""
    with suppress(OSError):
        for line in file.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def _forget_peak() -> None:
    """Start a new peak where the system allows it (Linux)."""
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _peak_device_memory() -> int | None:
    """Return the peak memory torch took on GPUs, in bytes; None without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
