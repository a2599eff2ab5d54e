"""Which trained weights predict and evaluate use: a run, an export, weights by name, or those that ship."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl import registry, stages
from icectl.cli.asked import Asked
from icectl.errors import UsageError
from icectl.workspace import Workspace, run_of, temporary

if TYPE_CHECKING:
    from icectl.weights import Weights


@dataclass(frozen=True)
class Source:
    """Where weights come from; neither where nothing was trained and nothing ships.

    `ships` tells that nobody named the weights. Such are not taken for a synthetic glacier, which trains a
    network of its own, as ``icectl demo`` does: they are `unfit`.
    """

    run: Path | None = None
    weights: Weights | None = None
    home: Path | None = None
    ships: bool = False
    unfit: Weights | None = None

    @property
    def saved(self) -> Mapping[str, Any] | None:
        """The record of the training."""
        folder = self.weights.folder if self.weights else self.run
        return run_of(folder) if folder else None

    def use(self, asked: Asked, request: stages.Request) -> stages.Request:
        """Return `request` with the weights; those that ship are checked, and brought into the workspace."""
        if self.weights is None:
            if self.unfit is not None:
                name = self.unfit.card.name
                logging.getLogger("icectl").info(
                    f"{request.glacier.name} is a synthetic glacier, unlike those that the weights '{name}' "
                    f"learnt: {asked.plugin.name} is trained on it first (or: --weights {name})"
                )
            elif self.run is None and asked.verb in ("predict", "evaluate"):
                _say_training(asked)
            elif not (asked.run or asked.from_export) and self.saved and asked.plugin.weights:
                _say_synthetic(asked, self.saved, request)
            return replace(request, run=self.run, home=self.home)
        from icectl import weights

        card = self.weights.card
        if asked.weights is None:
            logging.getLogger("icectl").info(
                f"no {asked.plugin.name} was trained in {asked.space.root}: using the weights '{card.name}' "
                f"that come with {self.weights.origin} ({card.summary}; {card.licence})"
            )
        request = replace(request, pixel_size=card.pixel_size)
        if asked.dry_run:
            return replace(request, run=self.weights.folder, home=weights.home(self.weights, asked.space))
        return replace(request, run=weights.bring(self.weights, asked.plugin, asked.space))


def _say_training(asked: Asked) -> None:
    """Say that a model is trained first where another of its task has weights already."""
    own = asked.plugin
    plugins = registry.usable()
    ready = [one.name for one in plugins if one.task == own.task and one.weights and one.name != own.name]
    if ready and stages.newest_run(asked.space, own) is None:
        logging.getLogger("icectl").info(
            f"no {own.name} was trained in {asked.space.root} and no weights of it come with icectl: it is "
            f"trained first (without training: icectl {asked.verb} {' or '.join(ready)})"
        )


def _say_synthetic(asked: Asked, saved: Mapping[str, Any], request: stages.Request) -> None:
    """Say that a network of a synthetic glacier is used on another, where weights of real ones ship."""
    learnt = saved["glacier"]
    if learnt["source"] != "synthetic" or saved["scenes"] or learnt["name"] == request.glacier.name:
        return
    from icectl import weights

    found = weights.default(asked.plugin)
    logging.getLogger("icectl").warning(
        f"the newest {asked.plugin.name} was trained on {learnt['name']}, a synthetic glacier: it is used "
        f"(--weights {found.card.name if found else ''} takes those of real ones)"
    )


def start_of(asked: Asked) -> Source:
    """Return the run whose weights a training starts from; those named are checked and brought in."""
    if not asked.from_weights:
        return Source()
    from icectl import weights

    path = Path(asked.from_weights).expanduser()
    if path.is_file() or (path.is_dir() and not (path / weights.CARD).is_file()):
        return _expect_own(asked, _imported(asked, path))
    found = weights.find(asked.from_weights, asked.plugin)
    return Source(found.folder if asked.dry_run else weights.bring(found, asked.plugin, asked.space))


def _imported(asked: Asked, export: Path) -> Source:
    """Bring an export into the workspace; a dry run looks at it elsewhere and leaves the workspace alone."""
    from icectl.imports import import_run

    if not asked.dry_run:
        return Source(import_run(export, asked.space))
    held = ExitStack()
    atexit.register(held.close)
    folder = held.enter_context(temporary())
    seen = import_run(export, Workspace(folder))
    return Source(seen, home=asked.space.root / seen.relative_to(folder))


def _expect_own(asked: Asked, source: Source) -> Source:
    """Return `source` if the model asked for made it, and no other of its name or another."""
    assert source.run is not None
    maker = registry.maker(run_of(source.run))
    if registry.owner(maker).whole != registry.owner(asked.plugin).whole:
        raise UsageError(
            f"the run {source.run.name} is of {registry.typed(maker)}, not of {registry.typed(asked.plugin)}",
            f"write icectl {asked.verb} {registry.typed(maker)}, or name no model",
        )
    return source


def chosen_run(asked: Asked) -> Source:
    """Return the weights that predict or evaluate use; an empty source trains (or finds) what options say."""
    if asked.verb not in ("predict", "evaluate"):
        return Source()
    named = [flag for flag in ("run", "from_export", "weights") if getattr(asked, flag)]
    if len(named) > 1:
        flags = [f"--{flag.removesuffix('_export')}" for flag in named]
        raise UsageError(f"{' and '.join(flags)} contradict each other", "give one of them")
    if asked.from_export:
        return _expect_own(asked, _imported(asked, asked.from_export))
    if asked.run:
        return _expect_own(asked, Source(stages.find_run(asked.space, asked.run, asked.plugin, weights=True)))
    if asked.weights:
        from icectl import weights

        return Source(weights=weights.find(asked.weights, asked.plugin))
    if asked.given(asked.plugin.stages["train"]) or asked.experiment is not None:
        return Source()
    newest = stages.newest_run(asked.space, asked.plugin, asked.seed)
    if newest is not None and asked.seed not in (None, run_of(newest)["seed"]):
        logging.getLogger("icectl").warning(
            f"no {asked.plugin.name} was trained with the seed {asked.seed}: the newest run is used "
            "(--run names another)"
        )
    if newest is not None or not asked.plugin.weights:
        return Source(newest)
    from icectl import weights

    return Source(weights=weights.default(asked.plugin), ships=True)
