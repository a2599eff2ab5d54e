"""The page: all that it promises is on it, nothing that came in can run, and it is small."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
from report_runs import EVIL, every_panel, make_run, time_maps

from icectl.errors import UsageError
from icectl.report import panels as p
from icectl.report.contents import commands, heading
from icectl.report.costs import duration
from icectl.report.curves import loss_charts
from icectl.report.page import compare, write_report
from icectl.report.record import read_run


class Page(HTMLParser):
    """Counts tags and collects text, attributes and whether every element is closed."""

    VOID = frozenset(("meta", "link", "img", "input", "br", "path", "use", "rect", "circle"))

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attributes]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data.strip())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    text = write_report(make_run(tmp_path_factory.mktemp("ws"), every_panel, title=EVIL)).read_text()
    return Page(text), text


def test_every_element_is_closed_and_ids_are_unique(page):
    parsed, _ = page
    assert parsed.open == []
    ids = [v for _, k, v in parsed.attributes if k == "id"]
    assert len(ids) == len(set(ids))


def test_it_says_what_was_run_and_how_to_run_it_again(page):
    words = " ".join(page[0].words)
    for needed in (
        "icectl run convlstm --glacier parvati --preset small",
        "a1b2c3d4e5",
        "2013-04-01 to 2021-10-01",
        "shared pixel-moments",
        "0.0398 – 0.0431",
        "measured on other data",
        "strongest baseline",
        "16 % better",
        "interval +12 to +20 %",
        "9.3 Wh",
        "estimate (65 W processor)",
        "prepare: frame 7 was not aligned",
        "EPSG:32643",
        "EPSG:3031",
        "5 km" if "5 km" in words else "1 km",
        "predictions/gone.tif is no longer there",
    ):
        assert needed in words, needed


def test_all_kinds_of_figures_are_there(page):
    parsed, text = page
    titles = set(parsed.words)
    for title in (
        "Snow masks",
        "Ice thickness",
        "Velocity",
        "Fronts",
        "Sampled futures",
        "Along the centre line",
    ):
        assert title in titles
    assert text.count('class="moment"') == 8 + 3
    assert text.count('<svg viewBox="0 0') == 15  # lines, points and arrows over maps, and charts
    assert {"Loss", "Learning rate"} <= titles


def test_nothing_that_came_in_can_run(page):
    parsed, text = page
    assert parsed.tags.count("script") == 2  # the palettes' data and the page's own
    assert "alert" not in "".join(v or "" for t, k, v in parsed.attributes if k.startswith("on"))
    assert EVIL in " ".join(parsed.words)
    assert "<b>Gletscher" not in text
    assert not any(k.startswith("on") for _, k, _ in parsed.attributes)


def test_it_needs_no_network(page):
    parsed, text = page
    for _tag, key, value in parsed.attributes:
        if key in ("src", "href", "srcset", "action", "poster"):
            assert value.startswith(("data:", "#")), value
    assert "url(http" not in text
    assert "@import" not in text
    policy = next(v for t, k, v in parsed.attributes if t == "meta" and k == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "unsafe-inline'; script" in policy
    script = text[text.rindex("<script>") + 8 : text.rindex("</script>")]
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"sha256-{digest}" in policy


def test_it_is_the_same_page_when_rebuilt(tmp_path):
    run = make_run(tmp_path, lambda run: [time_maps(run, 2)])
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert write_report(run, tmp_path / "elsewhere.html").read_bytes() == first


def test_what_a_killed_command_was_writing_is_removed_from_the_run_and_from_nowhere_else(tmp_path):
    run = make_run(tmp_path / "space", lambda run: [time_maps(run, 2)])
    for folder in (run, tmp_path):
        (folder / ".icectl-abcdefgh.partial").write_text("half")
    write_report(run)
    write_report(run, tmp_path / "elsewhere.html")
    assert not list(run.glob(".icectl-*"))
    assert (tmp_path / ".icectl-abcdefgh.partial").exists()


def test_a_run_that_moved_still_shows_its_maps(tmp_path):
    make_run(tmp_path / "a", lambda run: [time_maps(run, 2)])
    (tmp_path / "a").rename(tmp_path / "b")
    text = write_report(tmp_path / "b" / "runs" / "convlstm" / "parvati" / "a1b2c3d4e5").read_text()
    assert text.count('class="moment"') == 2
    assert "cannot be drawn" not in text


def test_a_run_without_evaluation_or_log(tmp_path):
    import shutil

    run = make_run(tmp_path)
    shutil.rmtree(run / "evaluations")
    (run / "log.jsonl").unlink()
    words = " ".join(Page(write_report(run).read_text()).words)
    assert "has not been evaluated yet" in words
    assert "No training log" in words
    assert "icectl run convlstm --glacier parvati --seed 0" in words


def test_a_damaged_panel_does_not_take_the_others_along(tmp_path):
    run = make_run(tmp_path, lambda run: [time_maps(run, 2)])
    file = run / "evaluations" / "parvati-a1b2c3d4e5" / "metrics.json"
    record = json.loads(file.read_text())
    record["details"]["panels"] += [{"kind": "film", "title": "?"}, 7]
    file.write_text(json.dumps(record))
    text = write_report(run).read_text()
    assert text.count("cannot be drawn") == 2
    assert text.count('class="moment"') == 2


def test_prediction_without_truth(tmp_path):
    def panels(run):
        full = time_maps(run, 2)
        frames = [p.Frame(label=f.label, prediction=f.prediction) for f in full.frames]
        return [p.TimeMaps(title="Forecast", frames=frames)]

    text = write_report(make_run(tmp_path, panels)).read_text()
    captions = re.findall(r'<div class="map"[^>]*data-title="(\w+)"', text)
    assert captions == ["Prediction", "Prediction"]


def test_the_commands_are_those_typed(tmp_path):
    assert commands(read_run(make_run(tmp_path))) == ["icectl run convlstm --glacier parvati --preset small"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "–"), (0.5, "0.5 s"), (75, "1 min 15 s"), (7512, "2 h 5 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_a_page_of_36_frames_keeps_to_its_budget(tmp_path, monkeypatch):
    from icectl.report import painter

    monkeypatch.setattr(painter, "BUDGET", 400_000)
    run = make_run(tmp_path, lambda run: [time_maps(run, 36, 120, 120)])
    text = write_report(run).read_text()
    pictures = sum(len(uri) for uri in re.findall(r'src="data:image/png;base64,([^"]+)"', text))
    assert 200_000 < pictures < 1.4 * 400_000
    assert text.count('class="moment"') == 36


@pytest.mark.slow
def test_the_issues_own_size(tmp_path):
    run = make_run(tmp_path, lambda run: [time_maps(run, 36, 800, 800, cube=True)])
    assert write_report(run).stat().st_size < 15e6


def test_several_runs_are_compared(tmp_path):
    one = make_run(tmp_path, lambda run: [time_maps(run, 2)])
    two = make_run(tmp_path, lambda run: [time_maps(run, 2)], model="salstm", identity="ffeeddccbb", lr=3e-4)
    page = compare([one, two])
    assert page == tmp_path / "runs" / "comparison.html"
    text = page.read_text()
    parsed = Page(text)
    words = html.unescape(" ".join(parsed.words))
    assert "2 runs compared" in words
    assert "Snow masks: truth and all models" in words
    assert "cannot be drawn" not in words
    assert "convlstm" in words
    assert "salstm" in words
    assert "train › lr" in words
    assert "train › preset" not in words  # equal in both
    assert words.count("SA-LSTM-H (Müller 2023)") == 1
    links = [v for t, k, v in parsed.attributes if t == "a" and k == "href" and v.endswith("report.html")]
    assert links == ["convlstm/parvati/a1b2c3d4e5/report.html", "salstm/parvati/ffeeddccbb/report.html"]
    ids = [v for _, k, v in parsed.attributes if k == "id"]
    assert len(ids) == len(set(ids))


def test_the_heading_names_the_place_that_was_evaluated(tmp_path):
    run = make_run(tmp_path)
    assert heading(read_run(run)) == "Snow forecast: Parvati"
    file = next((run / "evaluations").glob("*/metrics.json"))
    record = json.loads(file.read_text())
    record["details"]["place"] = "dem_south"
    file.write_text(json.dumps(record))
    assert heading(read_run(run)) == "Snow forecast: Parvati, evaluated on dem_south"


def test_charts_name_their_measures_as_they_are_written():
    log = [{"step": k, "train/edge_iou": 0.1, "train/start_rmse": 1.0, "train/loss": 1.0} for k in range(3)]
    assert [view["title"] for view in loss_charts({"one": log})] == ["Loss", "Edge IoU", "Start RMSE"]


def test_runs_that_cannot_be_compared(tmp_path):
    one = make_run(tmp_path)
    other = make_run(tmp_path, model="svg", identity="9999999999", task="flow")
    with pytest.raises(UsageError, match="different tasks cannot be compared: flow, snow"):
        compare([one, other])
    with pytest.raises(UsageError, match="two runs or more"):
        compare([one, one])


def test_models_that_repeat_get_longer_names_and_other_baselines_stay_apart(tmp_path):
    one = make_run(tmp_path)
    two = make_run(tmp_path, identity="ffeeddccbb")
    file = next((two / "evaluations").glob("*/metrics.json"))
    record = json.loads(file.read_text())
    record["tables"][0]["rows"][1]["values"]["mse"] = 0.2
    file.write_text(json.dumps(record))
    words = " ".join(Page(compare([one, two]).read_text()).words)
    assert "convlstm · a1b2c3d4e5" in words
    assert "last frame (as in convlstm · ffeeddccbb)" in words


def test_three_hundred_scenes_a_table_of_one_row_and_nothing_valid_at_all(tmp_path):
    """What may come in: as many frames as a decade has, one model without rivals, rasters without a pixel."""
    import numpy as np
    from report_runs import grid

    from icectl.raster import write_cog

    def panels(run):
        two = time_maps(run, 2, 60, 60)
        frames = [two.frames[k % 2].model_copy(update={"label": f"scene {k}"}) for k in range(300)]
        empty, none = run / "predictions" / "none.tif", np.full((20, 20), np.nan, np.float32)
        write_cog(empty, none, grid(20, 20), nodata=np.nan)
        nothing = p.Map(title=EVIL, layer=p.Layer(file=str(empty)))
        curve = p.Curve(title="One date", series=[p.Series(label="a", x=["2020-01-01"], y=[1.0])], dates=True)
        return [p.TimeMaps(title="Long", frames=frames), nothing, curve]

    run = make_run(tmp_path, panels, title=EVIL)
    file = next(run.glob("evaluations/*/metrics.json"))
    record = json.loads(file.read_text())
    record["tables"] = [{**record["tables"][0], "rows": record["tables"][0]["rows"][:1]}]
    del record["details"]["gain"]
    file.write_text(json.dumps(record))
    path = write_report(run)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 12e6
    assert text.count('class="moment"') == 300
    assert "no valid pixel" in text
    assert "cannot be drawn" not in text
    assert "against the strongest baseline" not in text
    assert "<b>Gletscher" not in text
    assert "&lt;b&gt;Gletscher" in text
