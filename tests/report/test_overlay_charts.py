"""Lines, points, arrows and charts as SVG."""

import re
import xml.etree.ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
from report_runs import EVIL, every_panel, grid
from shapely.geometry import LineString, Polygon

from icectl.errors import DataError
from icectl.raster import write_vectors
from icectl.report import charts, overlay
from icectl.report import panels as p
from icectl.report.colours import Scale
from icectl.report.layers import Reader
from icectl.report.pictures import date_legend


def numbers(path):
    return np.array(re.findall(r"-?\d+(?:\.\d+)?", path), dtype=float).reshape(-1, 2)


def test_vectors_of_another_crs_land_on_their_pixels(tmp_path):
    where = grid(100, 100)
    corners = [(10, 20), (60, 20), (60, 70), (10, 70)]
    ring = [where.affine @ c for c in corners]
    far = LineString([where.affine @ (900, 900), where.affine @ (950, 950)])  # of another map of a region
    near = LineString([where.affine @ (5, 5), where.affine @ (9, 9)])
    frame = gpd.GeoDataFrame(geometry=[Polygon(ring), near, far], crs="EPSG:32643")
    write_vectors(tmp_path / "outline.gpkg", frame.to_crs("EPSG:4326"))
    (stroke,) = overlay.line_strokes(
        [p.Lines(label="outline", role="truth", file="outline.gpkg")], Reader([tmp_path]), where
    )
    assert stroke.kind == "line truth"
    found = numbers(stroke.path)
    for corner in [*corners, (5, 5), (9, 9)]:
        assert np.abs(found - corner).sum(axis=1).min() < 0.15
    assert found.max() < 100
    with pytest.raises(DataError, match="without CRS"):
        overlay.line_strokes([p.Lines(label="o", file="outline.gpkg")], Reader([tmp_path]), None)


def test_lines_in_pixels_and_lines_of_one_point():
    lines = [p.Lines(label="a", pixels=[[(1, 2), (3.25, 4)]]), p.Lines(label="b", pixels=[[(1, 1)]])]
    (stroke,) = overlay.line_strokes(lines, Reader([]), None)
    assert stroke.path == "M1 2L3.2 4"


def test_points_take_the_colours_of_the_scale():
    points = p.Points(label="measured", columns=[1, 2, 3], rows=[4, 5, 6], values=[0, 100, None])
    scale = Scale("thickness", 0, 100)
    strokes = overlay.point_strokes([points], scale)
    assert [(s.path, s.colour) for s in strokes] == [
        ("M1 4h0", scale.hexes(12)[0]),
        ("M2 5h0", scale.hexes(12)[-1]),
    ]
    (plain,) = overlay.point_strokes([p.Points(label="x", columns=[1, 2], rows=[1, 1])], scale)
    assert plain.path == "M1 1h0M2 1h0"


def test_dated_lines_are_coloured_from_the_first_date_to_the_last():
    row = ((0.0, 0.0), (1.0, 0.0))
    days = ["2003-01-01", "2001-01-01", "2002-01-01"]
    lines = [p.Lines(label="fronts", pixels=(row,), date=day) for day in days]
    strokes = overlay.line_strokes(lines, Reader([]), None)
    assert [stroke.colour for stroke in strokes][::2] == ["#440154", "#fde725"]  # viridis, oldest first
    assert overlay.line_strokes([p.Lines(label="l", pixels=(row,))], Reader([]), None)[0].colour == ""
    bar = date_legend(overlay.date_scale(lines))
    assert bar["label"] == "date, 2001-01-01 to 2003-01-01"
    assert dict(bar["ticks"])["2002"] == pytest.approx(50)


def test_arrows_point_where_things_move():
    path = overlay.arrow_path([(100, 50, 3.0, 4.0)], gain=10.0, size=400)
    start, tip, *head = numbers(path)
    assert start.tolist() == [100, 50]
    assert tip.tolist() == [130, 90]
    for barb in (head[0], head[2]):  # barbs lie behind the tip
        assert (barb - tip) @ (tip - start) < 0
    assert overlay.arrow_path([(10, 10, 0, 0)], 10.0, 400) == ""


def test_long_arrows_just_miss_their_neighbours():
    arrows = [(x, 20.0, 2.0, 0.0) for x in (20.0, 60.0, 100.0)]
    assert overlay.arrow_gain(arrows) * 2.0 == pytest.approx(36)
    assert overlay.arrow_gain([]) == overlay.arrow_gain([(1, 1, 0, 0)]) == 1.0


def drawn():
    return [
        (
            "curve",
            charts.curve,
            p.Curve(
                title="c",
                x_label=EVIL,
                y_label="$m$",
                series=[
                    p.Series(label=EVIL, x=[0, 1, 2], y=[1.0, None, 3.0], role="prediction"),
                    p.Series(
                        label="_hidden", x=[0, 1], y=[2.0, 2.5], low=[1, 2], high=[3, 3], role="baseline"
                    ),
                ],
            ),
        ),
        (
            "dates",
            charts.curve,
            p.Curve(
                title="d",
                dates=True,
                log_y=True,
                series=[p.Series(label="a", x=["2013-04-01", "2021-10-01T00:00"], y=[1, 100], points=True)],
            ),
        ),
        ("empty", charts.curve, p.Curve(title="e", series=[])),
        (
            "section",
            charts.cross_section,
            p.CrossSection(
                title="x",
                distance=[0, 5000],
                surface=[10, 9],
                bed=[None, 3],
                measured_distance=[100],
                measured_bed=[4],
            ),
        ),
        ("no bed", charts.cross_section, p.CrossSection(title="x", distance=[], surface=[], bed=[])),
        (
            "scatter",
            charts.scatter,
            p.Scatter(title="s", x=list(range(9000)), y=list(range(9000)), x_label=EVIL),
        ),
        (
            "bars",
            charts.bars,
            p.Bars(
                title="b",
                labels=[EVIL, "a very long name of a glacier indeed", "c"],
                series={EVIL: [1, None, 2], "b": [2, 2, 2]},
            ),
        ),
    ]


@pytest.mark.parametrize(("name", "draw", "panel"), drawn(), ids=[d[0] for d in drawn()])
def test_charts_are_sound_svg_in_the_pages_colours(name, draw, panel):
    svg = draw(panel)
    root = ET.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    assert root.tag.endswith("svg")
    assert not re.search(r"#0101[0-9a-f]{2}", svg)
    assert "var(--ink)" in svg
    assert "<script" not in svg
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert used <= set(ids)
    assert svg == draw(panel)  # the same page every time


def test_labels_are_text_and_not_mathematics():
    svg = drawn()[0][1](drawn()[0][2])
    words = " ".join(
        t.text or ""
        for t in ET.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1)).iter()
        if t.tag.endswith("text")
    )
    assert "$m$" in words
    assert EVIL in words
    assert "hidden" in words


def test_lines_of_many_runs_can_be_told_apart_and_their_legend_fits():
    names = [f"deeplab-xception · jakobshavn · {k}f9a01c2de" for k in range(10)]
    series = tuple(p.Series(label=name, x=tuple(range(20)), y=tuple(range(20))) for name in names)
    svg = charts.curve(p.Curve(title="Loss", series=series, x_label="update"))
    assert len(set(re.findall(r'style="([^"]*var\(--other[^"]*stroke-width: 1.8)', svg))) == len(names)
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    for name in names:  # ten short labels would stand in three columns
        (left,) = re.findall(rf'x="([\d.]+)"[^<]*>{re.escape(name)}<', svg)
        assert float(left) + 5 * len(name) < width


def test_many_points_are_thinned():
    assert drawn()[5][1](drawn()[5][2]).count("<use ") <= charts.MOST_POINTS + 60


def test_missing_values_break_a_line():
    svg = drawn()[0][1](drawn()[0][2])
    path = re.search(r'<path d="(M[^"]*)"[^>]*stroke: var\(--prediction\)', svg)
    assert path is None or path.group(1).count("M") == 2 or "L" not in path.group(1)


def test_every_kind_of_panel_is_tried(tmp_path):
    kinds = {panel.kind for panel in every_panel(tmp_path)}
    assert kinds == {k.model_fields["kind"].default for k in p.Panel.__args__}


def test_a_single_bar_leaves_most_of_its_panel_free():
    svg = charts.bars(p.Bars(title="By year", labels=("2017",), series={"mean": (2.5,)}, y_label="px"))
    shapes = re.findall(r'd="M ([\d.]+) [\d.]+\s+L ([\d.]+) [\d.]+\s+L [^"]*z\s*"', svg)
    widths = [abs(float(right) - float(left)) for left, right in shapes]
    whole = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    assert [width for width in widths if 0.05 * whole < width < 0.2 * whole], widths
    assert max(widths) > 0.5 * whole  # the panel itself
