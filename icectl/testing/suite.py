"""PluginTests: the checks as a pytest class."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from icectl import registry
from icectl.testing.checks import CHECKS, Check
from icectl.testing.subject import Subject


class PluginTests:
    """Subclass it with a `name`; pytest does the rest: one test for each of `icectl.testing.checks.CHECKS`.

    Attributes
    ----------
    name
        The plugin's name, as users type it.
    small
        Option values that keep the work small (a name goes to every stage that has it). Our own
        tasks have theirs; a task of your own needs some if its defaults are large.
    glacier
        The glacier to work on.
    """

    name: ClassVar[str]
    small: ClassVar[Mapping[str, Any]] = {}
    glacier: ClassVar[str] = "demo"

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, tmp_path_factory: pytest.TempPathFactory) -> Subject:
        """Return the plugin, with stages that are done once for all checks."""
        folder = tmp_path_factory.mktemp(cls.name)
        return Subject(registry.get(cls.name), folder, cls.small, cls.glacier)


def _test(check: Check) -> Callable[[PluginTests, Subject], None]:
    def test(self: PluginTests, subject: Subject) -> None:
        if why := check.unfit(subject):  # said, not passed
            pytest.skip(f"'{subject.plugin.name}' {why}")
        check.make(subject)

    test.__doc__ = check.sentence
    return test


for _check in CHECKS:
    setattr(PluginTests, f"test_{_check.name}", _test(_check))
