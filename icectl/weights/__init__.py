"""Trained weights that come with a model: found, checked and brought into a workspace; no code in them runs.

Each lies in a folder as ``icectl export`` writes it, with a ``card.toml`` beside it (see `Card`). icectl's
own are folders of this package; a plugin names its own in `icectl.contract.Plugin.weights`, the first of
them the default of its model; a user's (``icectl models add``) lie in ``$ICECTL_WEIGHTS``, by default
``~/.local/share/icectl/weights``.
"""

from icectl.weights.card import CARD, Card, Data, Score, read_card
from icectl.weights.known import Weights, add, bring, check, default, find, home, known, shipped, user_folder
from icectl.weights.make import make

__all__ = [
    "CARD", "Card", "Data", "Score", "Weights", "add", "bring", "check", "default", "find", "home",
    "known", "make", "read_card", "shipped", "user_folder",
]  # fmt: skip
