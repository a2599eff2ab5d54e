"""SVG for ice flow (Min, Mukkavilli, Bengio 2019). Light: the network is imported on use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from icectl.contract import Plugin
from icectl.tasks.flow import stages
from icectl.tasks.flow.options import TrainOptions

_CODE = {  # defaults of the code that the paper builds on (train_svg_lp.py)
    "past": 5,
    "normalise": "scene",
    "augment": False,
    "updates": None,
    "epochs": 300,
    "batch_size": 100,
    "lr": 2e-3,
    "width": 64,
    "skip": "last",
    "beta": 1e-4,
}

_PAPER = {
    **_CODE,
    "past": 8,
    "peak_weight": 1.0,
}  # section 4: z of 128, two LSTM layers of 128 units, eight past frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What a preset says and no flag changes.

    `vector`: length of the encoder's vector.
    `latent`, `latent_map`: length of the latent where it is a vector, and channels of a latent map; 0: it
        is a vector.
    `hidden`, `predictor_layers`, `gaussian_layers`: units of each recurrent layer, and layers of the
        predictor, and of prior and posterior.
    `norm`: normalisation of the convolutions: ``"batch"`` (statistics shared by all processes) or
        ``"group"``.
    `l2_weight`, `correlation_weight`: weights of the squared error, and of 1 − correlation, which is what
        is scored.
    `future_latent`: where the latent comes from after t0 in training: the posterior, the prior, or
        (``"both"``) the posterior or the prior's mean for each window by chance.
    `teach`: feed true frames after t0 while training, and generate every frame, as the reference does.
    `cosine`: learning rate with a warm-up and half a cosine; else constant.
    """

    vector: int = 128
    latent: int = 128
    latent_map: int = 0
    hidden: int = 128
    predictor_layers: int = 2
    gaussian_layers: int = 1
    norm: Literal["batch", "group"] = "batch"
    l2_weight: float = 1.0
    correlation_weight: float = 0.0
    future_latent: Literal["posterior", "prior", "both"] = "posterior"
    teach: bool = True
    cosine: bool = False


FIXED: Mapping[str, Fixed] = {
    "paper": Fixed(gaussian_layers=2),
    "reference": Fixed(latent=10, hidden=256),
    "small": Fixed(
        vector=32,
        latent=8,
        latent_map=4,
        hidden=32,
        predictor_layers=1,
        norm="group",
        l2_weight=0.2,
        correlation_weight=1.0,
        future_latent="both",
        teach=False,
        cosine=True,
    ),
}


class SVGTrain(TrainOptions):
    """Options of ``train`` with the sizes of the network and the parts of its loss."""

    preset: Literal["paper", "reference", "small"] = Field(
        default="small",
        description="The paper's sizes, those of the code it builds on, or a network for two cores.",
    )
    width: int = Field(default=8, ge=4, le=256, description="Channels after the first halving of a chip.")
    skip: Literal["last", "attention"] = Field(
        default="attention",
        description="Decode with feature maps of the last frame seen, or of a mixture of all past frames.",
    )
    recurrence: Literal["lstm", "convlstm"] = Field(
        default="lstm",
        description="Recurrent parts as LSTM (the reference code) or convolutional LSTM (the paper's text).",
    )
    beta: float = Field(default=4e-3, ge=0, le=100, description="Weight of the KL divergence.")
    peak_weight: float = Field(
        default=0.0, ge=0, le=100, description="Weight of the squared error around each chip's peak."
    )
    adversarial: float = Field(
        default=0.0, ge=0, le=100, description="Weight of an adversarial term (hinge); 0: none."
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": _PAPER, "reference": _CODE, "small": {}}

    @property
    def fixed(self) -> Fixed:
        """What the preset says and no flag changes."""
        return FIXED[self.preset]


plugin = Plugin(
    name="svg",
    summary="Stochastic video generation: a chip of moving ice two frames ahead, and the ice's velocity.",
    task="flow",
    model="icectl_svg.network:SVGModel",
    schema=2,
    upgrades={1: "icectl.tasks:gone"},
    stages=stages(SVGTrain),
    estimate="icectl.tasks.flow.estimate:estimate",
    paper="Min, Mukkavilli, Bengio 2019, Predicting ice flow using machine learning",
)
