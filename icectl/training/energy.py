"""Energy of a block of work: the machine's counters, or a labelled estimate."""

import importlib
import threading
from contextlib import suppress
from pathlib import Path

from icectl.errors import UsageError, did_you_mean

WORLD_G_PER_KWH = 475.0
"""Grams of CO2e per kWh: a round world average, not a measurement."""

CORE_WATTS = 10.0
"""Assumed power of one busy CPU core with its share of the machine."""

IDLE_WATTS = 3.0
"""Assumed power of one idle core with its share of the machine."""

EVERY = 60.0
"""Seconds between readings: a processor's counter wraps round after some 20 minutes at full load."""

_RAPL = Path("/sys/class/powercap")
_METHODS = ("auto", "estimate", "off")


class Energy:
    """Measures energy by RAPL (processor packages, µJ) and NVML (NVIDIA GPUs, mJ), else estimates it.

    Counters see all users of the machine. Where none can be read, ``auto`` takes assumed watts times
    processor time, which is right to within a small factor and is labelled as an estimate.
    """

    def __init__(self, method: str = "auto") -> None:
        if method not in _METHODS:
            raise UsageError(f"ICECTL_ENERGY={method} is not known", did_you_mean(method, _METHODS))
        self.method, self.joules = method, 0.0
        self._last: dict[str, float] = {}
        self._done = threading.Event()

    def start(self) -> None:
        """Begin: read the counters, and again from time to time."""
        self._last = read_counters() if self.method == "auto" else {}
        if self._last:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._done.wait(EVERY):
            self.add()

    def add(self) -> None:
        """Add what the counters went up by since the last reading; one that wrapped round went on."""
        now = read_counters()
        for name in self._last.keys() & now.keys():
            step = now[name] - self._last[name]
            self.joules += step if step >= 0 else step + _range(name)
        self._last = now

    def stop(self, seconds: float, cpu_seconds: float) -> tuple[float | None, str]:
        """Return kWh since `start` (None if not measured) and what the figure rests on."""
        self._done.set()
        if self._last:
            self.add()
            kinds = sorted({name.split(":")[0] for name in self._last})
            return self.joules / 3.6e6, f"counters ({', '.join(kinds)})"
        if self.method == "off":
            return None, "off"
        joules = CORE_WATTS * cpu_seconds + IDLE_WATTS * max(0.0, seconds - cpu_seconds)
        return joules / 3.6e6, f"estimate ({CORE_WATTS:g} W a busy core, {IDLE_WATTS:g} W an idle one)"


def read_counters() -> dict[str, float]:
    """Return joules by counter: ``rapl:<package>`` and ``nvml:<device>``."""
    found = {}
    for file in sorted(_RAPL.glob("intel-rapl:[0-9]*/energy_uj")):
        if file.parent.name.count(":") == 1:  # packages, not the parts inside them
            with suppress(OSError, ValueError):
                found[f"rapl:{file.parent.name}"] = int(file.read_text()) / 1e6
    return {**found, **_read_nvml()}


def _range(name: str) -> float:
    """Return the joules after which a processor's counter begins again at 0; a GPU's never does."""
    with suppress(OSError, ValueError):
        return int((_RAPL / name.partition(":")[2] / "max_energy_range_uj").read_text()) / 1e6
    return 0.0


def _read_nvml() -> dict[str, float]:
    found = {}
    with suppress(Exception):  # no library, no driver, or a device without the counter
        pynvml = importlib.import_module("pynvml")
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found[f"nvml:{index}"] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    return found
