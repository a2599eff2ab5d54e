"""Stage four: fronts of every image as GIS lines and polygons, and a record of how each came about."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from icectl.run import Run
from icectl.tasks.front import products
from icectl.tasks.front.dataset import Entry, FrontData, open_dataset
from icectl.tasks.front.files.fjord import check_fjord, fjord_mask
from icectl.tasks.front.files.records import Record, keep, open_probabilities, record_of, write_records
from icectl.tasks.front.image.windows import Floats, Network
from icectl.tasks.front.line.domains import by_domains
from icectl.tasks.front.line.found import ROWS, Found, Rules
from icectl.tasks.front.line.passes import Predictor
from icectl.tasks.front.line.walls import within
from icectl.tasks.front.model import FrontModel
from icectl.tasks.front.options import PredictOptions
from icectl.tasks.front.pose.doubt import judged, reasons_of
from icectl.tasks.front.pose.frame import Frame, frame_of
from icectl.tasks.front.pose.search import PoseSearch, Training
from icectl.tasks.front.pose.survey import survey


def predict(run: Run, model: FrontModel, options: PredictOptions) -> Path:
    """Find fronts in every image of ``run.inputs["prepare"]``; labels are not looked at."""
    network, facts = model.answering(run)
    data = open_dataset(run.inputs["prepare"])
    if options.fjord is not None:
        check_fjord(options.fjord, data.entries)
    finder = Finder(network, facts, options)
    store = open_probabilities(run.out)
    records = []
    with run.progress("predicting", total=len(data.entries)) as advance:
        for entry in data.entries:
            found = finder(entry, data)
            keep(store, entry, found)
            records.append(record_of(entry, found))
            advance()
    write_records(run.out, records)
    _say_misses(run, records)
    products.write(run, options, data, records)
    return run.out


MOST = 100
"""Most fronts of a scene of many domains."""


class Finder:
    """Finds the fronts of one entry after another with trained weights.

    `network` and `facts`: trained weights as a function of arrays, and what is kept with them; `options`: of
    the stage.
    """

    def __init__(self, network: Network, facts: Mapping[str, Any], options: PredictOptions) -> None:
        self.options, self.rules = options, rules_of(options, facts)
        has_mask = bool(facts.get("has_mask", True))
        quick = replace(self.rules, looks=((1.0, 0.0),), flip=False)
        self.training = Training(facts["pose"] != "unknown", facts.get("resolution"))
        if "texture" in facts:
            self.training = replace(self.training, texture=facts["texture"])
        self.radar = facts.get("radar", [False])
        self.search = PoseSearch(
            Predictor(network, self.rules, has_mask), Predictor(network, quick, has_mask),
            self.training, options.turns,
        )  # fmt: skip

    def __call__(self, entry: Entry, data: FrontData) -> Found:
        """Return what is found in one image: fronts that are believed, and why others are not."""
        frame = frame_of(entry.place, entry.shape, entry.resolution)
        bearing = None if data.assumed else entry.flow
        image = data.image(entry)
        side = self._domain_side(frame)

        bearings = self.search.bearings(bearing, entry.flow_spread)
        single = max(image.shape) <= side
        most = self.options.fronts or (self.rules.fronts if single else MOST)
        if len(bearings) > 1:
            found = survey(image, frame, self.search, bearings, side, self.rules.front_distance * side, most)
        elif single:
            found = self._look(image, frame, bearing)
        else:
            found = by_domains(
                image, lambda part: self._look(part, frame, bearing), side,
                self.rules.front_distance * side, most,
            )  # fmt: skip
        if self.options.fjord is not None:
            found = within(found, fjord_mask(self.options.fjord, entry))
        if entry.radar not in self.radar:
            reason = f"{'a' if entry.radar else 'no'} radar image, unlike those of the training"
            fronts = tuple(replace(front, doubt=(*front.doubt, reason)) for front in found.fronts)
            found = replace(found, fronts=fronts)
        return judged(found, self.options.least_confidence)

    def _look(self, part: Floats, frame: Frame | None, bearing: float | None) -> Found:
        """Return what is found where the direction is told, or does not matter."""
        if self.training.upward and bearing is not None:
            found = self.search.at(part, frame, bearing)
        else:
            found = self.search.as_it_lies(part, frame, bearing)
        reasons = reasons_of(part, frame, self.training)
        return replace(found, fronts=tuple(replace(front, doubt=reasons) for front in found.fronts))

    def _domain_side(self, frame: Frame | None) -> int:
        return max(64, round(self.options.domain * self.search.scale(frame)))


def rules_of(options: PredictOptions, facts: Mapping[str, Any]) -> Rules:
    """Return the row of thresholds that was asked for, with the views that the network was trained on."""
    rules = ROWS[options.thresholds]
    trained = facts.get("options", {})
    full = trained.get("train_size")
    if full:
        rules = replace(rules, full_size=full, window=min(full, *trained["crop"]))
    return rules if options.fronts is None else replace(rules, fronts=options.fronts)


def _say_misses(run: Run, records: list[Record]) -> None:
    """Tell how many images have no front, and how many fronts are in doubt and why."""
    missed = [r["image"] for r in records if not r["fronts"]]
    fronts = [front for record in records for front in record["fronts"]]
    weak = [front for front in fronts if front["doubt"]]
    run.say(f"{len(fronts)} fronts in {len(records)} images, {len(weak)} of them in doubt")
    if missed:
        run.warn(f"no front was found in {len(missed)} of {len(records)} images ({', '.join(missed[:5])})")
    if weak:
        why = dict.fromkeys(reason for front in weak for reason in front["doubt"])
        run.warn(
            f"{len(weak)} of {len(fronts)} fronts are in doubt (QualFlag 20): {'; '.join(list(why)[:3])}"
        )
    run.notes.update({"images": len(records), "without a front": len(missed), "flagged": len(weak)})
    if records:
        sure = [front["confidence"] for front in fronts]
        run.notes["mean confidence"] = round(float(np.mean(sure)), 3) if sure else None
