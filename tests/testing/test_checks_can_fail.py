"""Each check passes on a sound plugin, and fails, saying why, on one broken in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import wobbly
from pydantic import ConfigDict, Field, field_serializer

from icectl import contract, registry
from icectl.contract import Options
from icectl.errors import WorkError
from icectl.testing import PluginTests, Subject, light, products, training


@pytest.fixture(autouse=True)
def _announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICECTL_PLUGINS", "wobbly=wobbly:plugin")
    registry.refresh()


@pytest.fixture(scope="class", autouse=True)
def _forget() -> None:
    registry.refresh()


class TestSound(PluginTests):
    name = "wobbly"

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, tmp_path_factory: pytest.TempPathFactory) -> Subject:
        return Subject(wobbly.plugin, tmp_path_factory.mktemp("sound"))


def broken(name: str, folder: Path) -> Subject:
    return Subject(wobbly.with_model(name), folder)


class Undescribed(Options):
    updates: int = 3


class Untyped(Options):
    updates: object = Field(3, description="Updates.")


class OutOfBounds(Options):
    updates: int = Field(0, ge=1, description="Updates.")


class Loose(Options):
    model_config = ConfigDict(extra="ignore")
    updates: int = Field(1, description="Updates.")


class BadPreset(Options):
    presets: ClassVar = {"small": {"upates": 1}}
    preset: str = Field("none", description="A preset.")


class TakesAFlag(Options):
    workspace: str = Field("", description="Where.")


class OtherMeaning(Options):
    side: str = Field("left", description="Which side.")


class Lossy(Options):
    scale: float = Field(0.1234, description="A number that is rounded when it is saved.")

    @field_serializer("scale")
    def rounded(self, value: float) -> float:
        return round(value, 2)


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (replace(wobbly.plugin, api=99), "written for plugin API 99"),
        (replace(wobbly.plugin, name="other"), "calls itself 'other'"),
        (replace(wobbly.plugin, summary=""), "summary is empty"),
        (replace(wobbly.plugin, summary="a\nb"), "one line"),
        (replace(wobbly.plugin, schema=3, upgrades={2: "wobbly:upgrade"}), r"runs of schema \[1\]"),
        (replace(wobbly.plugin, schema=2, upgrades={1: "wobbly:STAGES"}), "is no function"),
        (replace(wobbly.plugin, stages={}), "no options class for fetch"),
    ],
)
def test_descriptors(plugin, words: str) -> None:
    light.descriptor_is_valid(wobbly.plugin, "wobbly")
    with pytest.raises(AssertionError, match=words):
        light.descriptor_is_valid(plugin, "wobbly")


def test_heavy_descriptor() -> None:
    light.descriptor_is_light("wobbly:plugin")
    with pytest.raises(AssertionError, match="imports numpy"):
        light.descriptor_is_light("wobbly_heavy:plugin")
    with pytest.raises(AssertionError, match="does not import"):
        light.descriptor_is_light("wobbly_absent:plugin")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Undescribed, "'updates' of train has no description"),
        (Untyped, "has no type"),
        (OutOfBounds, "greater than or equal to 1"),
        (Loose, "accept unknown names"),
        (BadPreset, "preset 'small' of train sets unknown options: upates"),
    ],
)
def test_options(options: type[Options], words: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=words):
        light.options_are_typed_and_documented(wobbly.with_stage("train", options))


def test_clashing_options() -> None:
    light.options_do_not_clash(wobbly.plugin)
    with pytest.raises(AssertionError, match="--workspace belongs to icectl"):
        light.options_do_not_clash(wobbly.with_stage("train", TakesAFlag))
    with pytest.raises(AssertionError, match="'side' is <class 'int'> in fetch and <class 'str'> in predict"):
        light.options_do_not_clash(wobbly.with_stage("predict", OtherMeaning))


def test_lossy_options() -> None:
    light.saved_options_come_back(wobbly.plugin)
    with pytest.raises(AssertionError, match="options of train do not survive"):
        light.saved_options_come_back(wobbly.with_stage("train", Lossy))


def test_reserved_names_are_those_of_the_command_line() -> None:
    from icectl.cli import options

    assert {*options.SHARED, "json", "from", "debug", "help", "gpu"} <= contract.RESERVED


def test_missing_verbs() -> None:
    with pytest.raises(WorkError, match="lacks predict, evaluate"):
        light.model_has_the_verbs(wobbly.with_model("Lacking"))
    with pytest.raises(WorkError, match="does not import"):
        light.model_has_the_verbs(wobbly.with_model("Absent"))


@pytest.mark.parametrize(
    ("check", "model", "words"),
    [
        (training.training_learns, "NoGradient", "changed no weight"),
        (training.training_learns, "InfiniteLoss", "train/loss is not finite"),
        (training.nothing_is_pickled, "Pickling", r"train wrote model\.pt"),
        (training.training_is_deterministic, "Undetermined", "two trainings of one seed differ"),
        (training.training_resumes_bit_equal, "Forgetful", "a resumed training differs"),
        (training.training_resumes_bit_equal, "Deaf", "went on after SIGTERM"),
        (products.prediction_is_georeferenced, "NoCrs", "has no CRS"),
        (products.prediction_is_georeferenced, "OtherCrs", "is in EPSG:3413, the input in EPSG:32643"),
        (products.prediction_is_georeferenced, "HalfAPixelOff", "between the pixels"),
        (products.prediction_is_georeferenced, "NoNodata", "declares no nodata"),
        (products.prediction_is_georeferenced, "Silent", "predict wrote none of"),
        (products.prediction_does_not_depend_on_tile, "SeamsByTile", "depends on --tile"),
        (products.evaluation_is_recomputable, "Invented", "does not read the predictions"),
        (products.evaluation_is_recomputable, "Fluctuating", "gives other numbers"),
        (products.evaluation_has_a_baseline, "NoBaseline", "no row of kind 'baseline'"),
        (products.evaluation_has_a_baseline, "NoDecision", "no column 'iou' decides"),
        (products.onnx_agrees, "OtherWhenExported", "differs from the original by"),
    ],
)
def test_work(check: Callable[[Subject], None], model: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=words):
        check(broken(model, tmp_path))


@pytest.mark.parametrize("model", ["Flat", "Timid"])
def test_predictions_of_little_contrast_are_spoilt_too(model: str, tmp_path: Path) -> None:
    products.evaluation_is_recomputable(broken(model, tmp_path))


@pytest.mark.parametrize("model", ["LocalMean", "OwnDraws"])
def test_counting_processes(model: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="between one process and two"):
        training.one_process_equals_two(broken(model, tmp_path))


def test_losses_that_drift_apart(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="over ten updates"):
        training.losses_agree_in_float32(broken("LocalMean", tmp_path))


def test_statistics_kept_per_process_are_said_not_passed() -> None:
    for declared in ({"multi_device": False}, {"per_process_batch_statistics": True}):
        subject = Subject(replace(wobbly.plugin, **declared), Path())
        with pytest.raises(pytest.skip.Exception, match="declares"):
            PluginTests().test_one_process_equals_two(subject)


def test_a_dry_run_that_touches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin whose import leaves a file behind is seen."""
    messy = tmp_path / "messy.py"
    messy.write_text("from pathlib import Path\nfrom wobbly import plugin\nPath('left-behind').touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ICECTL_PLUGINS", "wobbly=messy:plugin")
    registry.refresh()
    with pytest.raises(AssertionError, match="--dry-run made left-behind"):
        products.dry_run_touches_nothing(Subject(wobbly.plugin, tmp_path / "work"))


@pytest.mark.parametrize(
    ("verb", "first", "unreached"),
    [
        ("prepare", "stages see their identity alone", 8),
        ("train", "training learns", 7),
        ("predict", "predictions are georeferenced", 3),
        ("evaluate", "evaluation is recomputable", 1),
    ],
)
def test_one_cause_is_told_once(verb, first, unreached, monkeypatch):
    """What fails because an earlier stage did says that alone."""
    from wobbly_models import Sound

    from icectl.testing.report import validate

    def failing(self, run, options):
        raise KeyError("rate")

    monkeypatch.setattr(Sound, verb, failing)
    monkeypatch.setattr(wobbly, "plugin", replace(wobbly.plugin, multi_device=False))  # two take long
    registry.refresh()
    wrong = [one for one in validate("wobbly", full=True) if not one.passed]
    told = [one.sentence for one in wrong if "rate" in one.reason]
    assert told == [first]
    assert sum("not reached" in one.reason for one in wrong) == len(wrong) - 1 >= unreached


def test_without_a_model_nothing_is_tried(monkeypatch):
    from icectl.testing.report import validate

    monkeypatch.setattr(wobbly, "plugin", wobbly.with_model("Absent"))
    registry.refresh()
    wrong = [one for one in validate("wobbly", full=True) if not one.passed]
    assert [one.sentence for one in wrong] == ["the model has the five verbs", "its stages do their work"]


def test_a_model_whose_rows_have_another_name(tmp_path: Path) -> None:
    subject = broken("Sound", tmp_path)
    subject.plugin = replace(subject.plugin, name="other")
    with pytest.raises(AssertionError, match="no row of the model begins with 'other', but wobbly"):
        products.evaluation_has_a_baseline(subject)
