"""All checks of the conformance suite, in the order in which they are made."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from icectl import registry
from icectl.contract import Plugin
from icectl.testing import identity, light, products, training
from icectl.testing.subject import Subject


def _fits(subject: Subject) -> str:
    return ""


def _learns(subject: Subject) -> str:
    members = subject.options()["train"].members()
    return "reads the trainings of its members, who are tested" if members else ""


def _several(subject: Subject) -> str:
    if not subject.plugin.multi_device:
        return "declares that it trains in one process"
    if subject.plugin.per_process_batch_statistics:
        return "declares batch statistics per process: one process is NOT equal to two"
    return _learns(subject)


def _runs_elsewhere(subject: Subject) -> str:
    if not hasattr(subject.model, "onnx"):
        return "offers no network for ONNX"
    return "" if find_spec("onnxruntime") else "is not tried: the extra 'onnx' is not installed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it says, and what makes it.

    `unfit`: why a plugin is not checked so, in words; empty where it is. `light`: whether nothing is fetched,
    trained or predicted for it.
    """

    name: str
    sentence: str
    make: Callable[[Subject], None]
    unfit: Callable[[Subject], str] = _fits
    light: bool = False


def _descriptor_is_light(plugin: Plugin) -> None:
    light.descriptor_is_light(registry.owner(plugin).value)


def _descriptor_is_valid(plugin: Plugin) -> None:
    light.descriptor_is_valid(plugin, registry.owner(plugin).name)


CHECKS = (
    *(
        Check(make.__name__.lstrip("_"), sentence, lambda one, make=make: make(one.plugin), light=True)  # type: ignore[misc]
        for sentence, make in (
            ("the descriptor is light", _descriptor_is_light),
            ("the descriptor is valid", _descriptor_is_valid),
            ("options are typed and documented", light.options_are_typed_and_documented),
            ("options do not clash", light.options_do_not_clash),
            ("saved options come back", light.saved_options_come_back),
            ("weights that ship are whole", light.shipped_weights_hold),
            ("the model has the five verbs", light.model_has_the_verbs),
        )
    ),
    *(
        Check(make.__name__, sentence, make, unfit)
        for sentence, make, unfit in (
            ("a dry run touches nothing", products.dry_run_touches_nothing, _fits),
            ("stages see their identity alone", identity.stages_see_their_identity_alone, _fits),
            ("training learns", training.training_learns, _learns),
            ("nothing is pickled", training.nothing_is_pickled, _fits),
            ("training is deterministic", training.training_is_deterministic, _fits),
            ("training resumes bit-equal", training.training_resumes_bit_equal, _learns),
            ("one process equals two (float64)", training.one_process_equals_two, _several),
            ("losses agree (float32)", training.losses_agree_in_float32, _several),
            ("predictions are georeferenced", products.prediction_is_georeferenced, _fits),
            ("predictions do not depend on --tile", products.prediction_does_not_depend_on_tile, _fits),
            ("evaluation is recomputable", products.evaluation_is_recomputable, _fits),
            ("evaluation has a baseline", products.evaluation_has_a_baseline, _fits),
            ("ONNX agrees, where it is offered", products.onnx_agrees, _runs_elsewhere),
        )
    ),
)
"""The light ones first; then those that do the work, on the smallest options."""
