"""Training, validation and test images: whole glaciers apart, or dates apart with a guard."""

from collections.abc import Mapping, Sequence

import numpy as np

from icectl.errors import UsageError, did_you_mean
from icectl.tasks.front.dataset import Entry, FrontData
from icectl.tasks.front.options import PrepareOptions

ROLES = ("train", "valid", "test", "left_out")
BLOCKS = 3


def split(dataset: FrontData, options: PrepareOptions, seed: int) -> list[str]:
    """Return the role of each image; ``"unlabelled"`` where there is no label. No seed decides it.

    With glaciers held out, all their images are the test; unless others are named, those are the glaciers
    that an archive tests on (fact ``set``). Otherwise the latest dates of each
    glacier are. Validation images are blocks of consecutive dates of the training glaciers. A
    training image within `guard` days of a validation or test image *of its own glacier* is left
    out, since such images show nearly the same front.

    UsageError: an unknown glacier among those held out, of labelled images.
    """
    labelled = [i for i, entry in enumerate(dataset.entries) if entry.lines is not None]
    names = sorted({dataset.entries[i].glacier for i in labelled})
    published = {one.glacier for one in dataset.entries if one.facts.get("set") == "test"}
    held_out = options.held_out or tuple(sorted(published))
    for name in options.held_out:
        if names and name not in names:
            raise UsageError(f"no image is of the held out glacier '{name}'", did_you_mean(name, names))
    roles = ["unlabelled"] * len(dataset.entries)
    for name in names:
        own = sorted(
            (i for i in labelled if dataset.entries[i].glacier == name), key=lambda i: dataset.entries[i].time
        )
        if name in held_out:
            for i in own:
                roles[i] = "test"
        else:
            tests = 0.0 if held_out else options.test_share
            _split_by_date(own, roles, dataset.entries, options.valid_share, tests, options.guard)
    return roles


def _split_by_date(
    own: list[int],
    roles: list[str],
    entries: Sequence[Entry],
    valid_share: float,
    test_share: float,
    guard_days: float,
) -> None:
    """Give roles to one glacier's images, which come in order of time."""
    tests = own[len(own) - round(test_share * len(own)) :] if test_share else []
    rest = own[: len(own) - len(tests)]
    valid = _blocks(rest, max(1, round(valid_share * len(rest)))) if len(rest) > 2 else []
    for i in own:
        roles[i] = "test" if i in tests else "valid" if i in valid else "train"
    fixed = np.array([entries[i].time.timestamp() for i in (*tests, *valid)])
    for i in own:
        apart = np.abs(fixed - entries[i].time.timestamp()) / 86400
        if roles[i] == "train" and len(fixed) and apart.min() <= guard_days:
            roles[i] = "left_out"


def _blocks(ordered: list[int], count: int) -> set[int]:
    """Take `count` images in up to `BLOCKS` runs of consecutive dates, spread over time."""
    chosen: set[int] = set()
    for number in range(BLOCKS):
        size = count * (number + 1) // BLOCKS - count * number // BLOCKS
        centre = round((number + 0.5) * len(ordered) / BLOCKS)
        start = max(0, min(centre - size // 2, len(ordered) - size))
        chosen |= set(ordered[start : start + size])
    return chosen


def audit(entries: Sequence[Entry]) -> dict[str, str | int | float]:
    """Return what the report prints of a split: sizes, glaciers shared, days between sets."""
    roles = [entry.role for entry in entries]
    facts: dict[str, str | int | float] = {f"{role} images": roles.count(role) for role in ROLES}
    train, test = ({e.glacier for e in entries if e.role == role} for role in ("train", "test"))
    facts["glaciers both trained and tested on"] = ", ".join(sorted(train & test)) or "none"
    gaps = [_gap(entries, name) for name in train & test]
    if gaps:
        facts["least days between a training and a test image of one glacier"] = round(min(gaps), 1)
    return facts


def _gap(entries: Sequence[Entry], glacier: str) -> float:
    times: Mapping[str, list[float]] = {
        role: [e.time.timestamp() for e in entries if e.role == role and e.glacier == glacier]
        for role in ("train", "test")
    }
    return float(np.abs(np.subtract.outer(times["train"], times["test"])).min() / 86400)
