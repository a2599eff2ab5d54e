"""Out of memory: the words, the search for a batch that fits, and what a stage costs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from icectl.errors import UsageError, WorkError
from icectl.training import (
    FitSettings,
    IndexedBatches,
    Meter,
    auto_batch_size,
    energy,
    find_batch_size,
    fit,
    fitting_batch,
    meters,
)
from icectl.training.autobatch import available_memory
from icectl.training.energy import Energy
from icectl.training.memory import is_out_of_memory, worded


class Hungry(tiny.Masked):
    """Needs more memory than there is for more than five samples."""

    def update(self, batch, context):
        if context.size(batch) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().update(batch, context)


def test_the_message_names_the_batch_tried_and_what_fits(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    with pytest.raises(WorkError, match="out of memory with a batch of 24; a batch of 3 fits") as caught:
        fit(run, Hungry(), IndexedBatches(tiny.dataset(), 24), None, FitSettings(epochs=1))
    assert caught.value.hint == "use --batch-size 3, or --batch-size auto"


def test_auto_finds_the_largest_batch(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    found = auto_batch_size(run, Hungry, lambda size: IndexedBatches(tiny.dataset(), size), limit=24)
    assert found == run.notes["batch_size"] == 5


def test_a_number_is_taken_as_it_is(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    assert fitting_batch(run, 7, Hungry, lambda size: pytest.fail("nothing is tried")) == 7
    assert not run.notes


def test_auto_leaves_an_epoch_some_updates(tmp_path: Path) -> None:
    run = tiny.run_in(tmp_path)
    found = fitting_batch(run, 0, tiny.Masked, lambda size: IndexedBatches(tiny.dataset(64), size))
    assert found == run.notes["batch_size"] == 4


def test_a_resumed_training_keeps_its_batch(tmp_path: Path) -> None:
    def ask(samples: int) -> tuple[int, int]:
        run = tiny.run_in(tmp_path)
        found = fitting_batch(run, 0, tiny.Masked, lambda size: IndexedBatches(tiny.dataset(samples), size))
        return found, run.notes["batch_size"]

    assert ask(64) == ask(640) == (4, 4)


def test_the_free_memory_of_the_machine_is_less_than_all_and_more_than_what_nothing_uses() -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    unused, whole = (page * os.sysconf(name) for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    assert 0.5 * unused < available_memory() <= whole


def test_auto_keeps_to_the_memory_of_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU does not say when it is full; the growth so far must do."""
    peak = iter([0, *(size * 2**20 for size in (1, 2, 4, 8, 16, 32))])
    monkeypatch.setattr("icectl.training.autobatch.meters.peak_memory", lambda: next(peak))
    monkeypatch.setattr("icectl.training.autobatch.available_memory", lambda: 10 * 2**20)
    run = tiny.run_in(tmp_path)
    found = auto_batch_size(run, tiny.Masked, lambda size: IndexedBatches(tiny.dataset(), size), limit=24)
    assert found in (6, 7)  # 0.8 × 10 MB at one MB a sample


def test_words_without_a_trial_and_when_nothing_fits() -> None:
    assert worded(8, None).hint == "try --batch-size 4, or --batch-size auto to find what fits"
    assert "not even one sample fits" in worded(8, lambda size: False).message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("most", [1, 2, 7, 64, 100])
def test_the_search_is_right_to_a_sixteenth(most: int) -> None:
    found = find_batch_size(lambda size: size <= most, limit=64)
    assert min(most, 64) * 15 / 16 <= found <= min(most, 64)
    with pytest.raises(WorkError, match="not even a batch of 1 fits"):
        find_batch_size(lambda size: False, limit=8)


def test_a_meter_measures_time_memory_and_energy() -> None:
    with Meter("estimate") as meter:
        block = np.ones(60 * 2**20 // 8)
        time.sleep(0.05)
        del block
    facts = meter.facts()
    assert 0.05 <= facts["seconds"] < 60
    assert facts["peak_memory"] > 60 * 2**20
    assert facts["peak_device_memory"] is None
    assert facts["energy_source"].startswith("estimate (10 W")
    assert facts["energy_kwh"] > 0.05 * 3 / 3.6e6 * 0.9
    assert facts["co2e_g"] == pytest.approx(facts["energy_kwh"] * energy.WORLD_G_PER_KWH)


def test_without_linux_a_peak_is_of_this_process_or_of_its_largest_child(tmp_path: Path, monkeypatch) -> None:
    kilobytes = {resource.RUSAGE_SELF: 3000, resource.RUSAGE_CHILDREN: 2000}
    monkeypatch.setattr(meters, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(meters, "_RSS_UNIT", 1024)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=kilobytes[who]))
    assert meters.peak_memory() == 3000 * 1024
    kilobytes[resource.RUSAGE_CHILDREN] = 4000
    assert meters.peak_memory() == 4000 * 1024


PEAKS = """
import json
import numpy as np
from icectl.training.meters import Meter
with Meter("off") as large:
    block = np.ones(200 * 2**20 // 8)
    del block
with Meter("off") as small:
    pass
print(json.dumps([large.facts(), small.facts()]))
"""


def test_a_peak_is_of_its_own_block() -> None:
    """In a process of its own: other tests' threads may hold or free memory meanwhile."""
    shown = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True).stdout
    large, small = json.loads(shown)
    assert small["peak_memory"] < large["peak_memory"] - 100 * 2**20
    assert small["energy_kwh"] is None


def test_the_estimate_is_watts_times_seconds() -> None:
    for busy, kwh in ((3600, 0.010), (0, 0.003)):
        found, source = Energy("estimate").stop(seconds=3600, cpu_seconds=busy)
        assert found == pytest.approx(kwh)
        assert source == "estimate (10 W a busy core, 3 W an idle one)"


@pytest.fixture
def rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two packages, whose counters stand at 10 J and 20 J and wrap round at 100 J."""
    for name, joules in (("intel-rapl:0", 10), ("intel-rapl:0:0", 999), ("intel-rapl:1", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{joules * 1_000_000}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("100000000\n")
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    return tmp_path


def test_a_counter_that_wraps_round_loses_no_energy(rapl: Path) -> None:
    counters = Energy("auto")
    counters.start()
    for first, second in ((46, 5), (90, 95), (6, 95)):  # the second package wraps, then the first
        (rapl / "intel-rapl:0" / "energy_uj").write_text(f"{first * 1_000_000}\n")
        (rapl / "intel-rapl:1" / "energy_uj").write_text(f"{second * 1_000_000}\n")
        counters.add()
    kwh, source = counters.stop(1, 1)
    assert kwh == pytest.approx((96 + 175) / 3.6e6)  # 36 + 44 + 16 J and 85 + 90 + 0 J
    assert source.startswith("counters (")


def test_counters_are_read_again_while_work_goes_on(rapl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "EVERY", 0.01)
    counters = Energy("auto")
    counters.start()
    (rapl / "intel-rapl:0" / "energy_uj").write_text("90000000\n")
    time.sleep(0.2)
    assert counters.joules == pytest.approx(80)
    counters.stop(1, 1)


def test_a_gpu_counts_in_millijoules(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {0: 2_500, 1: 40_125}
    fake = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(devices),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=devices.get,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(energy, "_RAPL", Path("/nowhere"))
    assert energy.read_counters() == {"nvml:0": 2.5, "nvml:1": 40.125}
    counters = Energy("auto")
    counters.start()
    devices[1] += 3_600
    assert counters.stop(1, 1) == (pytest.approx(1e-6), "counters (nvml)")


def test_unknown_settings_are_named() -> None:
    with pytest.raises(UsageError, match="ICECTL_ENERGY=watts is not known"):
        Meter("watts")
