"""A sound plugin with a task of its own, and its options. Light: `wobbly_models` holds the model."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from icectl.contract import VERBS, Options, Plugin


class Fetch(Options):
    side: int = Field(48, ge=8, description="Side of the field in pixels.")


class Train(Options):
    updates: int = Field(20, ge=1, description="Updates to train for.")


class Predict(Options):
    tile: int = Field(64, ge=8, description="Block of reading and writing in pixels.")


class Nothing(Options):
    pass


STAGES = {"fetch": Fetch, "prepare": Nothing, "train": Train, "predict": Predict, "evaluate": Nothing}

plugin = Plugin(
    name="wobbly", summary="Smooths a field.", task="field", model="wobbly_models:Sound", stages=STAGES
)


def with_model(name: str) -> Plugin:
    """The plugin with another, broken model."""
    return replace(plugin, model=f"wobbly_models:{name}")


def with_stage(verb: str, options: type[Options]) -> Plugin:
    """The plugin with other options of one stage."""
    assert verb in VERBS
    return replace(plugin, stages={**STAGES, verb: options})


def upgrade(saved):
    return saved
