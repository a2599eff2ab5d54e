"""A task of its own: the melt of a day from a map of temperature."""

from pydantic import Field

from icectl.contract import Options, Plugin


class Fetch(Options):
    """Options of `fetch`."""

    size: int = Field(default=64, ge=32, le=4096, description="Side of the map in pixels.")


class Prepare(Options):
    """Options of `prepare`."""

    warmer: float = Field(default=0.0, ge=-20, le=20, description="Kelvin added to the temperature.")


class Train(Options):
    """Options of `train`."""

    width: int = Field(default=8, ge=1, le=256, description="Units of the hidden layer.")
    updates: int = Field(default=200, ge=1, description="Updates to train for.")


class Nothing(Options):
    """A stage without options."""


plugin = Plugin(
    name="melt-toy",
    summary="Melt of a day from a map of temperature.",
    task="melt-toy",
    model="icectl_melt_toy.model:Model",
    stages={"fetch": Fetch, "prepare": Prepare, "train": Train, "predict": Nothing, "evaluate": Nothing},
)
