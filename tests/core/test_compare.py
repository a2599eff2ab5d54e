"""compare: every model of a task in one table, baselines once."""

from __future__ import annotations

import pyproj
import pytest

from icectl.cli.together import merged, named
from icectl.errors import DataError, WorkError


@pytest.fixture
def two_toys(toy, tmp_path, monkeypatch):
    """A second model of the toy's task, under another name."""
    from icectl import registry

    (tmp_path / "second_toy.py").write_text(
        "import dataclasses\nfrom toy_plugin import plugin as first\n"
        "plugin = dataclasses.replace(first, name='second', aliases=())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ICECTL_PLUGINS", "toy=toy_plugin:plugin,second=second_toy:plugin")
    registry.refresh()


def test_all_models_of_a_task_fill_one_table(cli, two_toys):
    record = cli("compare", "--task", "words", "--epochs", "3", "--json").json
    rows = record["tables"][0]["rows"]
    assert [row["kind"] for row in rows] == ["model", "model", "baseline", "baseline"]
    assert [row["name"] for row in rows][:2] == ["second", "toy"]  # whatever each calls its row
    assert rows[0]["values"]["error"] == rows[1]["values"]["error"] == 1.0


def test_the_table_ends_with_the_command_that_sets_runs_side_by_side(cli, two_toys, tmp_path):
    shown = cli("compare", "--task", "words", "--workspace", str(tmp_path / "there")).out
    (line,) = [line for line in shown.splitlines() if line.startswith("side by side: icectl ")]
    page = cli(*line.removeprefix("side by side: icectl ").split()).out.strip()
    assert page.endswith("compare.html")
    runs = cli("compare", "--task", "words", "--workspace", str(tmp_path / "there"), "--json").json["runs"]
    assert all(run.split("/")[-1] in line for run in runs)
    assert len(runs) == 2


def test_a_dry_run_plans_every_model_and_touches_nothing(cli, two_toys, tmp_path):
    plans = cli("compare", "--task", "words", "--dry-run", "--json").json
    assert [plan["model"] for plan in plans] == ["second", "toy"]
    assert [step["up_to_date"] for plan in plans for step in plan["steps"]] == [False] * 10
    assert "nothing was touched" in cli("compare", "--task", "words", "--dry-run").out
    assert not (tmp_path / "icectl-workspace").exists()


def test_a_model_that_fails_leaves_the_table_of_the_others(cli, two_toys, monkeypatch):
    failing(monkeypatch, DataError("no ice here"))
    done = cli("compare", "--task", "words", ok=False)
    assert done.code == 1
    assert "second: no ice here" in done.err
    assert "strongest baseline" in done.out
    failing(monkeypatch, DataError("no ice here"), "toy", "second")
    assert "error: no ice here" in cli("compare", "--task", "words", ok=False).err


@pytest.mark.parametrize("verb", ["compare", "run"])
def test_a_signal_ends_the_whole_of_it(cli, two_toys, monkeypatch, verb):
    stop = WorkError("stopped by SIGTERM")
    stop.exit_code = 143
    begun = failing(monkeypatch, stop, "second", "toy")
    words = ["compare", "--task", "words"] if verb == "compare" else ["run", "toy"]
    places = [] if verb == "compare" else ["--glacier", "demo", "--glacier", "parvati"]
    assert cli(*words, *places, ok=False).code == 143
    assert len(begun) == 1


def failing(monkeypatch, problem, *names):
    """Let `names` (or the second toy) fail with `problem`; returns the models that were begun."""
    from icectl import stages

    begun, perform = [], stages.perform

    def failed(request, verb):
        begun.append(request.plugin.name)
        if request.plugin.name in (names or ("second",)):
            raise problem
        return perform(request, verb)

    monkeypatch.setattr(stages, "perform", failed)
    return begun


def test_wrong_use_is_worded(cli, two_toys):
    twice = cli("compare", "--task", "words", "--glacier", "demo", "--glacier", "parvati", ok=False)
    assert "compare works on one glacier" in twice.err
    assert "compare what?" in cli("compare", ok=False).err
    named = cli("compare", "run-1", "run-2", ok=False).err
    assert "error: compare takes no 'run-1'\n" in named
    assert "runs: icectl report RUN RUN --out compare.html" in named
    assert "no model has the task 'nothing'" in cli("compare", "--task", "nothing", ok=False).err
    assert "takes 2 files or more" in cli("compare", "fronts", "a.gpkg", ok=False).err
    assert "a.gpkg does not exist" in cli("compare", "fronts", "a.gpkg", "b.gpkg", ok=False).err


def _record(name: str, error: float, rival: float) -> dict:
    rows = [
        {"name": name, "kind": "model", "values": {"e": error}, "note": ""},
        {"name": "rival", "kind": "baseline", "values": {"e": rival}, "note": ""},
    ]
    sure = {row["name"]: {"e": [row["values"]["e"] - 1, row["values"]["e"] + 1]} for row in rows}
    table = {
        "title": "T",
        "columns": [{"key": "e", "label": "e", "better": "lower"}],
        "rows": rows,
        "primary": "e",
        "note": "",
    }
    return {"tables": [table], "notes": ["same for all"], "details": {"intervals": {"T": sure}}}


def test_a_baseline_that_differs_between_models_is_kept_twice_with_its_own_interval():
    alike = merged([_record("a", 1, 3), _record("b", 2, 3)])
    assert [row["name"] for row in alike["tables"][0]["rows"]] == ["a", "b", "rival"]
    assert alike["notes"] == ["same for all"]
    assert [said.split(", ")[0] for said in alike["details"]["verdicts"]] == [
        "a is 67 % better than the strongest baseline",
        "b is 33 % better than the strongest baseline",
    ]
    apart = merged([_record("a", 1, 3), _record("b", 2, 4)])
    sure = apart["details"]["intervals"]["T"]
    assert {name: sure[name]["e"] for name in sure} == {
        "a": [0, 2], "b": [1, 3], "rival": [2, 4], "rival (as in b)": [3, 5]
    }  # fmt: skip
    assert [row["name"] for row in apart["tables"][0]["rows"]] == ["a", "b", "rival", "rival (as in b)"]
    third = merged(
        [_record("a", 1, 3), _record("b", 2, 4), _record("c", 2, 4 + 1e-9)]
    )  # another order of sums
    assert [row["name"] for row in third["tables"][0]["rows"]][3:] == ["rival", "rival (as in b)"]


@pytest.fixture
def two_sets(tmp_path):
    """Fronts of one glacier, the second set 30 m to the north and three days later."""
    import geopandas as gpd
    from shapely.geometry import LineString

    for name, shift, day in (("a.gpkg", 0, "2019-07-01"), ("b.gpkg", 30, "2019-07-04")):
        line = LineString([(300_000, -2_500_000 + shift), (303_000, -2_500_000 + shift)])
        facts = {"Glacier": ["Helheim"], "Date": [day]}
        gpd.GeoDataFrame(facts, geometry=[line], crs="EPSG:3413").to_file(tmp_path / name)


def test_two_sets_of_fronts_are_measured_against_each_other(cli, two_sets):
    far = cli("compare", "fronts", "a.gpkg", "b.gpkg", ok=False)
    assert far.code == 1
    assert "raise --within-days" in far.err
    (table,) = cli("compare", "fronts", "a.gpkg", "b.gpkg", "--within-days", "3", "--json").json["tables"]
    degrees = pyproj.Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    ends = [degrees.transform(301_500, -2_500_000 + shift) for shift in (0, 30)]
    on_the_ground = pyproj.Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2]  # 29.7 m
    assert table["rows"][0]["values"]["mean_m"] == pytest.approx(on_the_ground, rel=1e-3)
    assert (
        "1 and 1 lines, 1 pair within 3 days"
        in cli("compare", "fronts", "a.gpkg", "b.gpkg", "--within-days", "3").out
    )
    for wrong in (["a.gpkg"], ["a.gpkg", "missing.gpkg"]):
        assert cli("compare", "fronts", *wrong, ok=False).code == 2


def test_a_model_that_lacks_an_option_is_left_out_in_a_sentence(cli, toy, tmp_path, monkeypatch):
    from icectl import registry

    (tmp_path / "bare_toy.py").write_text(
        "import dataclasses\nfrom toy_plugin import Fetch, plugin as first\n"
        "stages = {**first.stages, 'train': Fetch}\n"
        "plugin = dataclasses.replace(first, name='bare', aliases=(), stages=stages)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ICECTL_PLUGINS", "toy=toy_plugin:plugin,bare=bare_toy:plugin")
    registry.refresh()
    done = cli("compare", "--task", "words", "--preset", "paper", "--dry-run", "--json")
    assert [plan["model"] for plan in done.json] == ["toy"]
    assert "bare is left out: bare has no option --preset" in done.err
    named = cli("compare", "--task", "words", "--model", "bare", "--preset", "paper", ok=False)
    assert "bare has no option --preset" in named.err
    assert "No such option: --presset" in cli("compare", "--task", "words", "--presset", "x", ok=False).err


def test_rows_say_which_plugin_they_are_of(toy, tmp_path, monkeypatch):
    from icectl import registry

    plugin = registry.get("toy")
    record = {
        "tables": [
            {
                "title": "A",
                "rows": [{"name": "network", "kind": "model"}, {"name": "none", "kind": "baseline"}],
            },
            {"title": "B", "rows": [{"name": "toy: a", "kind": "model"}, {"name": "b", "kind": "model"}]},
        ],
        "details": {"intervals": {"A": {"network": [1, 2], "none": [3, 4]}}},
    }
    monkeypatch.setattr(registry, "typed", lambda plugin: f"there:{plugin.name}")
    found = named(record, plugin)
    assert [[row["name"] for row in table["rows"]] for table in found["tables"]] == [
        ["there:toy", "none"],
        ["there:toy: a", "there:toy: b"],
    ]
    assert found["details"]["intervals"] == {"A": {"there:toy": [1, 2], "none": [3, 4]}}
