"""What the page of a prediction shows: every image with its front, and the fronts of a series over time."""

from icectl.report.panels import ImageLines, Layer, Lines, Panel, Picture
from icectl.run import Run
from icectl.tasks.front.dataset import Entry, open_dataset
from icectl.tasks.front.figures import MAX_SHOWN, fronts_by_date, length_curves, pixels_of
from icectl.tasks.front.files.records import Record, lines_in, read_records


def shown(run: Run) -> list[Panel]:
    """Return the images with the lines in ``run.out``, by date, then maps and lengths of each series."""
    data = open_dataset(run.inputs["prepare"])
    entries = {entry.id: entry for entry in data.entries}
    records = sorted(read_records(run.out), key=lambda record: str(record["time"]))
    some = records[:: max(1, -(-len(records) // MAX_SHOWN))]
    frames = tuple(_picture(record, entries[record["image"]]) for record in some)
    note = "" if len(some) == len(records) else f"{len(some)} of {len(records)} images"
    found = {record["image"]: record for record in records}
    maps, curves = fronts_by_date(data, found), length_curves(data, found, "box", labelled=False)
    return [ImageLines(title="Fronts", frames=frames, note=note), *maps, *curves]


def _picture(record: Record, entry: Entry) -> Picture:
    lines = pixels_of(lines_in(record))
    doubts = [f"in doubt: {reason}" for front in record["fronts"] for reason in front["doubt"]]
    said = "; ".join([*doubts, *record["notes"]]) or ("" if lines else "no front was found")
    sure = max((front["confidence"] for front in record["fronts"]), default=None)
    label = f"{record['image']} · " + ("no front" if sure is None else f"confidence {sure:.2f}")
    return Picture(
        label=label,
        image=Layer(file=entry.file, metres=entry.resolution),
        lines=(Lines(label="predicted", role="prediction", pixels=lines),),
        note=said,
    )
