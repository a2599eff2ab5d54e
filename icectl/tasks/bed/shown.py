"""What the page of a prediction shows: thickness, its bound and the bed, or the filled ground."""

from icectl.report.panels import Layer, Map, Panel
from icectl.run import Run
from icectl.tasks.bed.figures import deepest, maps
from icectl.tasks.bed.products import FILLED, TABLE


def shown(run: Run) -> list[Panel]:
    """Return maps of what was written into ``run.out``, and note the volume for the head of the page."""
    if volume := run.notes.get("volume"):
        low, high = (f"{volume[end]:.2g}" for end in ("low", "high"))
        run.notes["cards"] = [
            ["ice volume", f"{volume['km3']:.2g} km³", f"90 % interval: {low} to {high} km³"],
            ["area", f"{volume['area_km2']:.3g} km²", f"glaciers: {volume['glaciers']}"],
            ["in sea level", f"{volume['sle_mm']:.2g} mm", ""],
        ]
    found: list[Panel] = [*maps(run.out), *deepest(run.out)] if (run.out / TABLE).is_file() else []
    if (run.out / FILLED).is_file():
        layer = Layer(file=str((run.out / FILLED).absolute()))
        found.append(Map(title="Elevation, holes filled", layer=layer, unit="m", colours="terrain"))
    return found
