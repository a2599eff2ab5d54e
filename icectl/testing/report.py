"""The suite without pytest: for ``icectl plugins validate``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import IcectlError, UsageError, brief, did_you_mean
from icectl.testing.light import light_checks
from icectl.workspace import temporary


@dataclass(frozen=True, slots=True)
class Result:
    """One check: a sentence, whether it holds, and why not."""

    sentence: str
    passed: bool
    reason: str = ""


def validate(name: str, full: bool = False) -> list[Result]:
    """Check the plugin announced as `name`; with `full` also train and predict in a temporary folder.

    UsageError: no distribution announces the name.
    """
    announced = [found for found in registry.plugins() if name in (found.name, found.whole)]
    if not announced:
        raise UsageError(f"no plugin is announced as '{name}'", did_you_mean(name, registry.names()))
    results = []
    for found in announced:
        origin = f"{found.distribution} {found.version}"
        results.append(Result(f"{origin} loads", not found.problem, found.problem))
        if found.plugin is not None and not found.problem:
            checks = light_checks(found.plugin, found.name, found.value)
            results += [_tried(sentence, check) for sentence, check in checks.items()]
            if full and not results[-1].passed:  # the model, which all work needs
                results.append(Result("its stages do their work", False, "not reached: there is no model"))
            elif full:
                results += _heavy(found.plugin)
    return results


def _heavy(plugin: Plugin) -> Iterator[Result]:
    """Yield the checks that do the work, on the smallest options."""
    from icectl.testing import identity, products, training
    from icectl.testing.subject import Subject

    several: dict[str, Callable[[Subject], None]] = {}
    if plugin.multi_device and not plugin.per_process_batch_statistics:
        several = {
            "one process equals two (float64)": training.one_process_equals_two,
            "losses agree (float32)": training.losses_agree_in_float32,
        }
    checks: dict[str, Callable[[Subject], None]] = {
        "a dry run touches nothing": products.dry_run_touches_nothing,
        "stages see their identity alone": identity.stages_see_their_identity_alone,
        "training learns": training.training_learns,
        "nothing is pickled": training.nothing_is_pickled,
        "training is deterministic": training.training_is_deterministic,
        "training resumes bit-equal": training.training_resumes_bit_equal,
        **several,
        "predictions are georeferenced": products.prediction_is_georeferenced,
        "predictions do not depend on --tile": products.prediction_does_not_depend_on_tile,
        "evaluation is recomputable": products.evaluation_is_recomputable,
        "evaluation has a baseline": products.evaluation_has_a_baseline,
    }
    if find_spec("onnxruntime") is not None:
        checks["ONNX agrees, where it is offered"] = products.onnx_agrees
    with temporary() as folder:
        subject = Subject(plugin, folder)
        for sentence, check in checks.items():
            yield _tried(sentence, lambda check=check: check(subject))  # type: ignore[misc]


def _tried(sentence: str, check: Callable[[], None]) -> Result:
    try:
        check()
    except IcectlError as error:
        return Result(sentence, False, error.message)
    except Exception as error:  # a third party's code may raise anything
        return Result(sentence, False, brief(error))
    return Result(sentence, True)
