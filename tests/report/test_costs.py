"""What a run took, in words: seconds, memory, energy, and what the energy figure rests on."""

import pytest

from icectl.report.costs import cost_table, duration, energy


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("kwh", "words"),
    [(1e-7, "< 0.001 Wh"), (1e-6, "0.001 Wh"), (0.05, "50 Wh"), (0.1, "0.1 kWh"), (12.345, "12.3 kWh")],
)
def test_energy(kwh, words):
    assert energy(kwh) == words


def cells(row):
    return [cell["text"] for cell in row["cells"]]


def test_the_last_row_adds_up_what_adds_up():
    measured = {
        "seconds": 50,
        "peak_memory": 3e9,
        "energy_kwh": 0.01,
        "co2e_g": 4.2,
        "energy_source": "a meter",
    }
    guessed = {"seconds": 20, "peak_memory": 1e9, "peak_device_memory": 2e9, "energy_source": "an estimate"}
    table = cost_table({"fetch": {}, "prepare": {"meter": guessed}, "train": {"meter": measured}})
    assert [row["name"] for row in table["rows"]] == ["fetch", "prepare", "train", "together"]
    assert cells(table["rows"][0]) == ["–", "–", "–", "–", "–"]
    assert cells(table["rows"][1]) == ["20 s", "1,000", "2,000", "–", "–"]
    assert cells(table["rows"][2]) == ["50 s", "3,000", "–", "10 Wh", "4.2"]
    assert cells(table["rows"][3]) == ["1 min 10 s", "3,000", "2,000", "10 Wh", "4.2"]
    assert [row["kind"] for row in table["rows"]] == ["", "an estimate", "a meter", "a meter, an estimate"]


def test_one_stage_needs_no_sum_and_none_says_so():
    assert [row["name"] for row in cost_table({"fetch": {"meter": {"seconds": 1}}})["rows"]] == ["fetch"]
    assert cost_table({})["notes"] == ["No stage has left a record."]


@pytest.mark.parametrize(
    ("grams", "words"), [(0.0004, "< 0.001"), (0.0123, "0.012"), (99, "99"), (1234, "1,234")]
)
def test_carbon(grams, words):
    assert cells(cost_table({"train": {"meter": {"co2e_g": grams}}})["rows"][0])[-1] == words
