"""PluginTests: the checks as a pytest class."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from icectl import registry
from icectl.testing import identity, light, products, training
from icectl.testing.subject import Subject


class PluginTests:
    """Subclass it with a `name`; pytest does the rest.

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

    def test_descriptor_is_light(self, subject: Subject) -> None:
        """A listing imports nothing heavy."""
        light.descriptor_is_light(registry.owner(subject.plugin).value)

    def test_descriptor_is_valid(self, subject: Subject) -> None:
        """Name, API version, schema and upgrades agree."""
        light.descriptor_is_valid(subject.plugin, self.name)

    def test_options_are_typed_and_documented(self, subject: Subject) -> None:
        """Every option makes a good flag."""
        light.options_are_typed_and_documented(subject.plugin)

    def test_options_do_not_clash(self, subject: Subject) -> None:
        """Shared flags stay icectl's, and one name means one thing."""
        light.options_do_not_clash(subject.plugin)

    def test_shipped_weights_hold(self, subject: Subject) -> None:
        """Weights that ship have a card with a licence, their checksums, and the model's inputs."""
        light.shipped_weights_hold(subject.plugin)

    def test_saved_options_come_back(self, subject: Subject) -> None:
        """A record holds all there is to know."""
        light.saved_options_come_back(subject.plugin)

    def test_dry_run_touches_nothing(self, subject: Subject) -> None:
        """A plan is only a plan."""
        products.dry_run_touches_nothing(subject)

    def test_stages_see_their_identity_alone(self, subject: Subject) -> None:
        """The seed and options of later stages leave no trace in what comes before."""
        identity.stages_see_their_identity_alone(subject)

    def test_training_learns(self, subject: Subject) -> None:
        """Forward, backward, step."""
        self._learns(subject)
        training.training_learns(subject)

    def test_nothing_is_pickled(self, subject: Subject) -> None:
        """Checkpoints are data."""
        training.nothing_is_pickled(subject)

    def test_training_is_deterministic(self, subject: Subject) -> None:
        """One seed, one result."""
        training.training_is_deterministic(subject)

    def test_training_resumes_bit_equal(self, subject: Subject) -> None:
        """An interruption leaves no trace."""
        self._learns(subject)
        training.training_resumes_bit_equal(subject)

    def test_one_process_equals_two(self, subject: Subject) -> None:
        """Weights do not depend on the number of processes (float64, two updates)."""
        self._several(subject)
        training.one_process_equals_two(subject)

    def test_losses_agree_in_float32(self, subject: Subject) -> None:
        """Losses do not depend on the number of processes (float32, ten updates)."""
        self._several(subject)
        training.losses_agree_in_float32(subject)

    def test_prediction_is_georeferenced(self, subject: Subject) -> None:
        """CRS, transform and nodata are kept."""
        products.prediction_is_georeferenced(subject)

    def test_prediction_does_not_depend_on_tile(self, subject: Subject) -> None:
        """``--tile`` changes memory, not results."""
        products.prediction_does_not_depend_on_tile(subject)

    def test_evaluation_is_recomputable(self, subject: Subject) -> None:
        """Numbers come from saved files."""
        products.evaluation_is_recomputable(subject)

    def test_evaluation_has_a_baseline(self, subject: Subject) -> None:
        """A baseline stands beside the model."""
        products.evaluation_has_a_baseline(subject)

    def test_onnx_agrees(self, subject: Subject) -> None:
        """Other runtimes get a network that computes the same."""
        if not hasattr(subject.model, "onnx"):
            pytest.skip(f"'{subject.plugin.name}' offers no network for ONNX")
        pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
        products.onnx_agrees(subject)

    @staticmethod
    def _learns(subject: Subject) -> None:
        """Say so, instead of passing, where a plugin puts together what others learn."""
        if subject.options()["train"].members():
            pytest.skip(f"'{subject.plugin.name}' reads the trainings of its members, who are tested")

    @staticmethod
    def _several(subject: Subject) -> None:
        """Say so, instead of passing, where a plugin declares that one process is not two."""
        PluginTests._learns(subject)
        if not subject.plugin.multi_device:
            pytest.skip(f"'{subject.plugin.name}' declares that it trains in one process")
        if subject.plugin.per_process_batch_statistics:
            words = "declares batch statistics per process: one process is NOT equal to two"
            pytest.skip(f"'{subject.plugin.name}' {words}")
