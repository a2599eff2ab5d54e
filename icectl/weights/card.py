"""The card of trained weights: what they learnt from, under which licence, and how good they are."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from icectl.errors import DataError
from icectl.settings import read_toml, validate
from icectl.workspace import sha256

CARD = "card.toml"

_SPDX = r"^[A-Za-z0-9][A-Za-z0-9.+-]*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Data(_Part):
    """Data that weights learnt from."""

    name: str = Field(min_length=1, description="What it is called.")
    licence: str = Field(pattern=_SPDX, description="SPDX name of its licence.")
    source: str = Field(min_length=1, description="DOI or address, and whom to cite.")


class Score(_Part):
    """One measurement, on data that the weights were never trained on."""

    data: str = Field(min_length=1, description="What it was measured on.")
    metric: str = Field(min_length=1, description="What was measured.")
    value: float = Field(description="The score, in `unit`.")
    unit: str = Field(default="", description="Unit of the score.")
    baseline: str = Field(default="", description="The strongest baseline and its score.")


class Card(_Part):
    """What stands in ``card.toml``; see `icectl.weights`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80, description="What users type.")
    model: str = Field(min_length=1, description="The model whose weights these are.")
    summary: str = Field(min_length=1, description="One line for listings.")
    use: str = Field(default="", description="What they are meant for.")
    licence: str = Field(pattern=_SPDX, description="SPDX name of the weights' licence.")
    data: tuple[Data, ...] = Field(min_length=1, description="What they learnt from.")
    tested: tuple[Score, ...] = Field(default=(), description="Scores on data never trained on.")
    limits: tuple[str, ...] = Field(min_length=1, description="Where they fail or were not tried.")
    inputs: tuple[str, ...] = Field(default=(), description="Bands or layers that the network reads.")
    pixel_size: tuple[float, float] | None = Field(
        default=None, description="Smallest and largest pixel of the training data in metres."
    )
    command: str = Field(min_length=1, description="The command that made them.")
    files: dict[str, str] = Field(min_length=1, description="SHA-256 of every other file, by name.")


def readme(card: Card) -> str:
    """Return the card as Markdown with a YAML head, as model hubs read it."""
    from jinja2 import Environment, PackageLoader

    sides = [f"{side:g}" for side in sorted(set(card.pixel_size or ()))]
    pixels = f"{' to '.join(sides)} m" if sides else "not stated"
    templates = Environment(loader=PackageLoader("icectl", "weights"), trim_blocks=True)
    return templates.get_template("readme.md.j2").render(card=card, pixels=pixels)


def read_card(folder: Path) -> Card:
    """Return the card of the weights in `folder`.

    DataError: there is none, or it cannot be read. UsageError: it lacks something, its licence for
    instance.
    """
    path = folder / CARD
    if not path.is_file():
        raise DataError(f"{folder} holds no {CARD}", "weights come with a card: see docs/weights.md")
    return validate(Card, read_toml(path), str(path))


def check_files(card: Card, folder: Path) -> None:
    """Compare every file in `folder` with the checksum on its card.

    DataError: a file is missing, is another, or does not stand on the card.
    """
    here = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {CARD}
    for name in sorted(here | set(card.files)):
        if name not in here:
            raise DataError(f"the weights '{card.name}' lack {name}", "get them again")
        if name not in card.files:
            raise DataError(
                f"{name} does not stand on the card of the weights '{card.name}'", "get them again"
            )
        if sha256(folder / name) != card.files[name]:
            raise DataError(
                f"{name} of the weights '{card.name}' is damaged: its checksum is another", "get them again"
            )
