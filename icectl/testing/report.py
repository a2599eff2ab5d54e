"""The suite without pytest: for ``icectl plugins validate``."""

from collections.abc import Iterator
from dataclasses import dataclass

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import IcectlError, UsageError, brief, did_you_mean
from icectl.testing.checks import CHECKS, Check
from icectl.testing.subject import Subject
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
            results += _checked(found.plugin, full)
    return results


def _checked(plugin: Plugin, full: bool) -> Iterator[Result]:
    with temporary() as folder:
        subject = Subject(plugin, folder)
        light = [_tried(check, subject) for check in CHECKS if check.light]
        yield from filter(None, light)
        if full and light[-1] and not light[-1].passed:  # the model, which all work needs
            yield Result("its stages do their work", False, "not reached: there is no model")
        elif full:
            yield from filter(None, (_tried(check, subject) for check in CHECKS if not check.light))


def _tried(check: Check, subject: Subject) -> Result | None:
    try:
        if check.unfit(subject):
            return None
        check.make(subject)
    except IcectlError as error:
        return Result(check.sentence, False, error.message)
    except Exception as error:  # a third party's code may raise anything
        return Result(check.sentence, False, brief(error))
    return Result(check.sentence, True)
