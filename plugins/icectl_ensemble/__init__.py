"""The mean of several snow models as one model, with their standard deviation as its uncertainty."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from icectl import registry
from icectl.contract import Plugin
from icectl.tasks.snow import stages
from icectl.tasks.snow.options import TrainOptions, ValidateEvery

COMMON = {"past", "future", "patch", "stride", "guides", "split", "count_filled"}
"""Options that no member may have otherwise: what it is shown, and the ground that is kept for tests."""


class EnsembleTrain(TrainOptions):
    """Options of `train`, handed on to every member; what is not set is each member's own default."""

    preset: Literal["small"] = Field(default="small", description="Preset of the members' networks.")
    member: tuple[str, ...] = Field(
        default=("snow-mlp",),
        min_length=1,
        description="Snow model that takes part. May be given several times.",
    )
    draws: int = Field(default=3, ge=1, le=32, description="Trainings of each member.")
    validate_every: ValidateEvery = 0

    def members(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return every member with the training options that were set, and those that all have in common."""
        shared = (self.model_fields_set | COMMON) & set(TrainOptions.model_fields)
        given = {name: getattr(self, name) for name in sorted(shared)}
        models, found = [registry.get(name).name for name in self.member], []
        for at, name in enumerate(self.member):  # a model that is named again takes the next draws
            first = self.draw + self.draws * models[:at].count(models[at])
            found += [(name, {**given, "draw": draw}) for draw in range(first, first + self.draws)]
        return tuple(found)


plugin = Plugin(
    name="ensemble",
    summary="Mean of several snow models, with its uncertainty: four snow masks from the four before.",
    task="snow",
    model="icectl_ensemble.network:EnsembleModel",
    stages=stages(EnsembleTrain),
    estimate="icectl.tasks.snow.estimate:estimate",
)
