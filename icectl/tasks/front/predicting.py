"""Stage four: fronts of every image as GIS lines and polygons, and a record of how each came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from icectl.tasks.front import filters, ground
from icectl.tasks.front.dataset import Entry, FrontData, open_data
from icectl.tasks.front.found import Front
from icectl.tasks.front.infer import Network, mirrored
from icectl.tasks.front.lines import length, smooth
from icectl.tasks.front.passes import Predictor
from icectl.tasks.front.polygons import check_fjord
from icectl.tasks.front.products import write_products
from icectl.tasks.front.records import (
    Record,
    front_record,
    keep,
    lines_in,
    open_probabilities,
    probabilities,
    record_of,
    write_records,
)
from icectl.tasks.front.series import LEAST, Member, read_again

if TYPE_CHECKING:
    from icectl.run import Run
    from icectl.tasks.front.options import PredictOptions


def predict(run: Run, options: PredictOptions, network: Network, facts: Mapping[str, Any]) -> Path:
    """Predict all images of ``run.inputs["prepare"]`` and write records, rasters and products."""
    data = open_data(run.inputs["prepare"])
    if options.fjord is not None:
        check_fjord(options.fjord, data.entries)
    passes = options.passes
    if passes == "auto":
        passes = "two" if facts.get("train_size") else "whole"
    knows = bool(facts.get("has_mask", data.flow != "unknown" or any(e.has_mask for e in data.entries)))
    eyes = mirrored(network) if options.flip else network
    predictor = Predictor(eyes, facts["layers"], options, passes, knows)
    store = open_probabilities(run.out)
    records = []
    with run.progress("predicting", total=len(data.entries)) as advance:
        for entry in data.entries:
            found = predictor(data.image(entry))
            keep(store, entry, found)
            records.append(record_of(entry, found))
            advance()
    if options.series:
        again = read_series(run.out, data.entries, records, options)
        run.notes["read again beside near dates"] = again
        if again:
            run.say(f"{again} fronts lay far from those of near dates and were read again; they are flagged")
    if options.walls:
        run.notes["ended at ground"] = end_at_walls(run.out, data, records, options)
    write_records(run.out, passes, records)
    _say_misses(run, records)
    write_products(run, options, data, records)
    return run.out


def read_series(
    folder: Path, entries: Sequence[Entry], records: list[Record], options: PredictOptions
) -> int:
    """Replace the fronts that disagree with their glacier's other dates; return how many."""
    count = 0
    for own in _series(entries, records):
        members = []
        for number in own:
            lines = lines_in(records[number])
            edge = probabilities(folder, entries[number].id)[0]
            members.append(Member(entries[number].time, edge, lines[0] if lines else None))
        new = read_again(
            members, days=options.series_days, agreement=options.series_agreement, smoothing=options.smoothing
        )
        for position, line in new.items():
            record = records[own[position]]
            front = Front(line, filters.confidence(members[position].edge), "series", fallback=True)
            record["fronts"], record["status"] = [front_record(front)], "found"
            record["notes"].append("far from the fronts of near dates: read again between them")
            count += 1
    return count


def _series(entries: Sequence[Entry], records: Sequence[Record]) -> list[list[int]]:
    """Return the images of each glacier's series: dated, on one grid, with one front at most."""
    groups: dict[Any, list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.dated and len(records[number]["fronts"]) <= 1:
            groups.setdefault((entry.glacier, entry.shape, entry.place), []).append(number)
    return list(groups.values())


def end_at_walls(folder: Path, data: FrontData, records: list[Record], options: PredictOptions) -> int:
    """Let the fronts of each series end where ground begins; return how many changed by a pixel or more."""
    count = 0
    for own in _series(data.entries, records):
        if len(own) < LEAST or max(data.entries[own[0]].shape) > options.domain:
            continue
        taken = [data.entries[own[k]] for k in ground.chosen(len(own))]
        images = [ground.shrunk(data.image(entry)) for entry in taken]
        land = ground.stable_ground(images, [entry.time for entry in taken])
        land = ground.enlarged(land, taken[0].shape)
        for number in own:
            for front in records[number]["fronts"]:
                entry, line = data.entries[number], np.asarray(front["line"], float)
                edge = probabilities(folder, entry.id)[0]
                new = smooth(ground.between_walls(line, land, data.image(entry), edge), options.smoothing)
                if abs(length(new) - length(line)) >= 1:
                    front["line"] = np.round(new, 3).tolist()
                    records[number]["notes"].append("ends moved to ground that stays the same on all dates")
                    count += 1
    return count


def _say_misses(run: Run, records: list[Record]) -> None:
    """Tell how many images have no front, and how many only below the thresholds."""
    missed = [r["image"] for r in records if not r["fronts"]]
    weak = [r["image"] for r in records if any(f["fallback"] for f in r["fronts"])]
    if missed:
        run.warn(f"no front was found in {len(missed)} of {len(records)} images ({', '.join(missed[:5])})")
    if weak:
        run.warn(f"{len(weak)} of {len(records)} fronts did not pass the filters and are flagged")
    run.notes["images"], run.notes["without a front"], run.notes["flagged"] = (
        len(records),
        len(missed),
        len(weak),
    )
