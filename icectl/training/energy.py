"""Energy of a block of work: codecarbon, the machine's counters, or a labelled estimate."""

from __future__ import annotations

import importlib
import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from icectl.errors import UsageError, did_you_mean

WORLD_G_PER_KWH = 475.0
"""Grams of CO2e per kWh when none is given: a round world average, not a measurement."""

CORE_WATTS = 10.0
"""Assumed power of one busy CPU core with its share of the machine."""

IDLE_WATTS = 3.0
"""Assumed power of one idle core with its share of the machine."""

_RAPL = Path("/sys/class/powercap")
_METHODS = ("auto", "codecarbon", "counters", "estimate", "off")


class EnergyMeter(Protocol):
    """Measures kWh between `start` and `stop`."""

    source: str

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self, seconds: float, cpu_seconds: float) -> float | None:
        """Return kWh since `start`, None if not measured."""
        ...


def meter(method: str) -> EnergyMeter:
    """Return the energy meter called `method`, or the best there is for ``"auto"``."""
    if method not in _METHODS:
        raise UsageError(f"ICECTL_ENERGY={method} is not known", did_you_mean(method, _METHODS))
    if method == "off":
        return Off()
    if method in ("auto", "codecarbon"):
        if importlib.util.find_spec("codecarbon") is not None:
            return CodeCarbon()
        if method == "codecarbon":
            raise UsageError("codecarbon is not installed", "pip install 'icectl[energy]'")
    counters = Counters()
    if method == "counters" or (method == "auto" and counters.readable()):
        return counters
    return Estimate()


def intensity(grams_per_kwh: float | None = None) -> float:
    """Return grams of CO2e per kWh: the argument, ``$ICECTL_G_PER_KWH``, or the world's."""
    if grams_per_kwh is not None:
        return grams_per_kwh
    text = os.environ.get("ICECTL_G_PER_KWH", "")
    try:
        return float(text) if text else WORLD_G_PER_KWH
    except ValueError as error:
        raise UsageError(f"ICECTL_G_PER_KWH={text} is not a number", "give grams, e.g. 380") from error


class Off:
    """Measures nothing."""

    source = "off"

    def start(self) -> None:
        """Do nothing."""

    def stop(self, seconds: float, cpu_seconds: float) -> float | None:
        """Return None."""
        return None


class Estimate:
    """Assumed watts times processor time: right to within a small factor, and labelled so."""

    source = f"estimate ({CORE_WATTS:g} W a busy core, {IDLE_WATTS:g} W an idle one)"

    def start(self) -> None:
        """Do nothing; processor time is counted by the caller."""

    def stop(self, seconds: float, cpu_seconds: float) -> float | None:
        """Return kWh of the busy cores and of one idle core while waiting."""
        idle = max(0.0, seconds - cpu_seconds)
        return (CORE_WATTS * cpu_seconds + IDLE_WATTS * idle) / 3.6e6


class CodeCarbon:
    """codecarbon's offline tracker (Linux, macOS, Windows; nothing leaves the machine)."""

    def __init__(self) -> None:
        self.source = "codecarbon"
        self._tracker: Any = None

    def start(self) -> None:
        """Start a tracker of this process that writes no file and stays silent."""
        import logging
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from codecarbon import OfflineEmissionsTracker

            logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it greets before it reads log_level
            self._tracker = OfflineEmissionsTracker(
                country_iso_code=os.environ.get("ICECTL_COUNTRY", "USA"),
                save_to_file=False,
                log_level="critical",
                allow_multiple_runs=True,
            )
            self._tracker.start()

    def stop(self, seconds: float, cpu_seconds: float) -> float | None:
        """Return the energy codecarbon found; CO2e is ours, from one intensity for all."""
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._tracker.stop()
        found = getattr(self._tracker, "final_emissions_data", None)
        return None if found is None else float(found.energy_consumed)


class Counters:
    """The machine's own counters: RAPL packages (µJ) and NVML devices (mJ), over all its users."""

    def __init__(self) -> None:
        self.source = "counters"
        self._before: dict[str, float] = {}

    def readable(self) -> bool:
        """Return whether any counter can be read here."""
        return bool(read_counters())

    def start(self) -> None:
        """Read the counters."""
        self._before = read_counters()
        kinds = sorted({name.split(":")[0] for name in self._before})
        self.source = f"counters ({', '.join(kinds) or 'none readable'})"

    def stop(self, seconds: float, cpu_seconds: float) -> float | None:
        """Return kWh since `start`; a counter that wrapped round is left out."""
        after = read_counters()
        steps = [after[name] - before for name, before in self._before.items() if name in after]
        joules = sum(step for step in steps if step >= 0)
        return joules / 3.6e6 if steps else None


def read_counters() -> dict[str, float]:
    """Return joules by counter: ``rapl:<package>`` and ``nvml:<device>``."""
    found = {}
    for file in sorted(_RAPL.glob("intel-rapl:[0-9]*/energy_uj")):
        if file.parent.name.count(":") == 1:  # packages, not the parts inside them
            with suppress(OSError, ValueError):
                found[f"rapl:{file.parent.name}"] = int(file.read_text()) / 1e6
    return {**found, **_read_nvml()}


def _read_nvml() -> dict[str, float]:
    found = {}
    with suppress(Exception):  # no library, no driver, or a device without the counter
        pynvml = importlib.import_module("pynvml")

        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found[f"nvml:{index}"] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    return found
