"""Training, validation and test images: whole glaciers apart, or dates apart with a guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from icectl.errors import UsageError, did_you_mean

ROLES = ("train", "valid", "test", "left_out")


@dataclass(frozen=True, slots=True)
class Moment:
    """What a split needs of an image: its glacier and its time."""

    glacier: str
    time: datetime


def split_images(
    moments: Sequence[Moment],
    held_out: Sequence[str],
    valid_share: float,
    test_share: float,
    guard_days: float,
) -> list[str]:
    """Return the role of each image.

    With `held_out` glaciers, all their images are the test. Otherwise the latest dates of each
    glacier are. Validation images are blocks of consecutive dates of the training glaciers. A
    training image within `guard_days` of a validation or test image *of its own glacier* is left
    out, since such images show nearly the same front.

    Raises
    ------
    UsageError
        An unknown glacier.
    """
    names = sorted({moment.glacier for moment in moments})
    for name in held_out:
        if name not in names:
            raise UsageError(f"no image is of the held out glacier '{name}'", did_you_mean(name, names))
    roles = ["test" if moment.glacier in held_out else "" for moment in moments]
    for name in names:
        own = sorted((i for i, m in enumerate(moments) if m.glacier == name), key=lambda i: moments[i].time)
        if name not in held_out:
            _split_by_date(own, roles, moments, valid_share, 0.0 if held_out else test_share, guard_days)
    return roles


def _split_by_date(
    own: list[int],
    roles: list[str],
    moments: Sequence[Moment],
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
    fixed = np.array([moments[i].time.timestamp() for i in (*tests, *valid)])
    for i in own:
        apart = np.abs(fixed - moments[i].time.timestamp()) / 86400
        if roles[i] == "train" and len(fixed) and apart.min() <= guard_days:
            roles[i] = "left_out"


def _blocks(ordered: list[int], count: int, blocks: int = 3) -> set[int]:
    """Take `count` images in up to `blocks` runs of consecutive dates, spread over time."""
    chosen: set[int] = set()
    for number in range(blocks):
        size = count * (number + 1) // blocks - count * number // blocks
        centre = round((number + 0.5) * len(ordered) / blocks)
        start = max(0, min(centre - size // 2, len(ordered) - size))
        chosen |= set(ordered[start : start + size])
    return chosen


def audit(moments: Sequence[Moment], roles: Sequence[str]) -> dict[str, str | int | float]:
    """Return what the report prints of a split: sizes, glaciers shared, days between sets."""
    facts: dict[str, str | int | float] = {f"{role} images": list(roles).count(role) for role in ROLES}
    train = {m.glacier for m, r in zip(moments, roles, strict=True) if r == "train"}
    test = {m.glacier for m, r in zip(moments, roles, strict=True) if r == "test"}
    facts["glaciers both trained and tested on"] = ", ".join(sorted(train & test)) or "none"
    gaps = [_gap(moments, roles, name) for name in train & test]
    if gaps:
        facts["least days between a training and a test image of one glacier"] = round(min(gaps), 1)
    return facts


def _gap(moments: Sequence[Moment], roles: Sequence[str], glacier: str) -> float:
    """Return the least number of days between training and test images of a glacier."""
    times: Mapping[str, list[float]] = {
        role: [
            m.time.timestamp()
            for m, r in zip(moments, roles, strict=True)
            if r == role and m.glacier == glacier
        ]
        for role in ("train", "test")
    }
    return float(np.abs(np.subtract.outer(times["train"], times["test"])).min() / 86400)
