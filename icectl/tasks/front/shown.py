"""What the page of a prediction shows: every image with the front that was found, and what is in doubt."""

from icectl.report.panels import ImageLines, Layer, Lines, Panel, Picture
from icectl.run import Run
from icectl.tasks.front.dataset import Entry, open_dataset
from icectl.tasks.front.figures import MAX_SHOWN
from icectl.tasks.front.files.records import Record, lines_in, read_records


def shown(run: Run) -> list[Panel]:
    """Return the images with the lines in ``run.out``, by date."""
    entries = {entry.id: entry for entry in open_dataset(run.inputs["prepare"]).entries}
    records = sorted(read_records(run.out), key=lambda record: str(record["time"]))
    some = records[:: max(1, -(-len(records) // MAX_SHOWN))]
    frames = tuple(_picture(record, entries[record["image"]]) for record in some)
    note = "" if len(some) == len(records) else f"{len(some)} of {len(records)} images"
    return [ImageLines(title="Fronts", frames=frames, note=note)]


def _picture(record: Record, entry: Entry) -> Picture:
    lines = tuple(tuple((float(c), float(r)) for r, c in line) for line in lines_in(record))
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
