"""What the page of a prediction shows: the forecast, frame by frame."""

from pathlib import Path

from icectl.raster import Info
from icectl.report.panels import Frame, Layer, Panel, TimeMaps
from icectl.run import Run
from icectl.tasks.snow.products import SPREAD, THRESHOLDED


def shown(run: Run) -> list[Panel]:
    """Return the forecasts in ``run.out``; hindcasts, whose truth is known, are for `evaluate`."""
    ends = (THRESHOLDED, SPREAD)
    found = sorted(path for path in run.out.glob("forecast_*.tif") if not path.name.endswith(ends))
    return [_maps(path) for path in found]


def _maps(path: Path) -> TimeMaps:
    names = Info(path).descriptions
    frames = [
        Frame(label=name or f"lead {band}", prediction=Layer(file=str(path.absolute()), band=band))
        for band, name in enumerate(names, 1)
    ]
    return TimeMaps(
        title="Snow masks forecast", frames=tuple(frames), colours="snow", low=0.0, high=1.0, unit="NDSI"
    )
