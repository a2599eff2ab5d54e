"""Weights for an encoder of timm: from a file or an address, checked, and put into a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from icectl.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor, nn

_COUNTER = "num_batches_tracked"


def _file_or_address(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and "://" not in value else value


FileOrAddress = Annotated[Path | str, BeforeValidator(_file_or_address)]
"""Type of an option that takes a file (of which size and time decide what is made) or an address."""


def load_encoder(features: nn.Module, name: str, source: Path | str) -> None:
    """Give an encoder the weights that timm's model of that name has in a file.

    `features`: what ``timm.create_model(name, features_only=True)`` returns. `name`: of the model, without
    smp's ``tu-``. `source`: a ``.safetensors`` file, with or without the classifier; or its address,
    ``https://…`` (``#sha256=`` and a checksum may follow).

    DataError: it is no such file, or of another network. WorkError: the address cannot be fetched, or holds
    something else.

    >>> load_encoder(network.encoder.model, "xception41", Path("xception41.safetensors"))  # doctest: +SKIP
    """
    import timm
    import torch

    from icectl.sources.archive import fetched

    layers: Any = features
    state = _read(source if isinstance(source, Path) else fetched(source, "encoders"), source)
    bands = int(next(iter(features.parameters())).shape[1])
    with torch.device("meta"):
        whole = timm.create_model(name)
    left_out = whole.pretrained_cfg["classifier"]
    heads = (left_out,) if isinstance(left_out, str) else tuple(left_out or ())
    for key, value in whole.state_dict().items():
        if key.rpartition(".")[0] in heads or key.endswith(_COUNTER):
            continue
        found = tuple(state[key].shape) if key in state else "missing"
        if found != tuple(value.shape):
            raise DataError(
                f"{source} does not fit the encoder {name}: {key} is {found}, expected {tuple(value.shape)}",
                f"give the weights of timm's {name}",
            )
    made = timm.create_model(
        name,
        features_only=True,
        out_indices=layers.feature_info.out_indices,
        in_chans=bands,
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": state},
    )
    features.load_state_dict(made.state_dict())


def _read(path: Path, source: Path | str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from timm.models import clean_state_dict

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{source} holds no weights that can be read",
            "give a .safetensors file, as timm's models come; files of torch.save are not opened",
        ) from error
    return dict(clean_state_dict(found))
