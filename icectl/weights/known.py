"""Finds weights by name, file or address, checks them, and brings them into a workspace."""

import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from icectl import registry
from icectl.contract import Plugin
from icectl.errors import DataError, IcectlError, UsageError, did_you_mean
from icectl.weights.card import CARD, Card, check_files, read_card
from icectl.workspace import RUN, Workspace, own_folder, replace_folder, run_of, sha256, worded_os_errors

ENVIRONMENT = "ICECTL_WEIGHTS"


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained weights: the folder that holds them, their card, and who brought them."""

    folder: Path
    card: Card
    origin: str


def user_folder() -> Path:
    """Return the folder of the weights that a user added."""
    named = os.environ.get(ENVIRONMENT)
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(named) if named else home / "icectl" / "weights"


def shipped(plugin: Plugin) -> Iterator[Weights]:
    """Yield the weights that a plugin's distribution ships, the default of its model first."""
    for dotted in plugin.weights:
        package, _, inside = dotted.partition(":")
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / inside / CARD).is_file():
                folder = Path(place) / inside
                yield Weights(folder, read_card(folder), registry.owner(plugin).distribution)
                break
        else:
            raise DataError(
                f"'{plugin.name}' announces the weights {dotted}, which are not there", "reinstall it"
            )


def added() -> Iterator[Weights]:
    """Yield the weights that the user added."""
    for card in sorted(user_folder().glob(f"*/{CARD}")):
        yield Weights(card.parent, read_card(card.parent), "added by you")


def known() -> list[Weights]:
    """Return all weights that are here; a damaged card is passed over, its own commands name it."""
    found: list[Weights] = []
    for source in (*(shipped(plugin) for plugin in registry.usable()), added()):
        try:
            found += source
        except IcectlError:
            continue
    return found


def default(plugin: Plugin) -> Weights | None:
    """Return the weights that `plugin` predicts with where nothing was trained, if it ships any."""
    return next(shipped(plugin), None)


def find(chosen: str, plugin: Plugin | None = None) -> Weights:
    """Return weights by name, folder, archive or address (``https://…/x.zip#sha256=…``), for `plugin`.

    UsageError: nothing of that name is known, they are of another model, or the card lacks something.
    DataError: the file is damaged. WorkError: the address cannot be fetched, or holds something else.
    """
    found = _found(chosen, plugin)
    if plugin is not None:
        _expect_model(found.card, plugin)
    return found


def _expect_model(card: Card, plugin: Plugin) -> None:
    if card.model != plugin.name:
        raise UsageError(
            f"'{card.name}' are weights of {card.model}, not of {plugin.name}", f"give {card.model}"
        )


def _found(chosen: str, plugin: Plugin | None) -> Weights:
    address = f"doi:{chosen}" if re.match(r"10\.\d{4,9}/", chosen) else chosen
    if "://" in address or address.startswith("doi:"):
        from icectl.sources.archive import fetched

        return _unpacked(fetched(address, "weights"))
    if Path(chosen).expanduser().is_dir():
        folder = Path(chosen).expanduser().absolute()
        return Weights(folder, read_card(folder), str(folder))
    if Path(chosen).expanduser().is_file():
        return _unpacked(Path(chosen).expanduser().absolute())
    here = known()
    for one in here:
        if one.card.name == chosen:
            return one
    if os.sep in chosen or Path(chosen).suffix:
        raise UsageError(f"{chosen} does not exist", "check the path")
    names = [one.card.name for one in here if plugin is None or one.card.model == plugin.name]
    raise UsageError(f"no weights called '{chosen}'", did_you_mean(chosen, names))


def _unpacked(archive: Path) -> Weights:
    from icectl.sources.archive import cache, unpack

    if not zipfile.is_zipfile(archive):
        raise UsageError(f"{archive} holds no weights", "name a folder or a .zip with a card.toml")
    folder = cache() / "weights" / sha256(archive)[:16]
    if not (folder / CARD).is_file():
        with worded_os_errors(folder.parent), own_folder(folder.parent) as box:
            made = box / "weights"
            made.mkdir()
            unpack(archive, made)
            check_files(read_card(made), made)
            replace_folder(made, folder, box)
    return Weights(folder, read_card(folder), str(archive))


def add(chosen: str) -> Weights:
    """Keep weights from a folder, an archive or an address under their own name, and return them.

    UsageError: weights of that name are here already.
    """
    found = find(chosen)
    check_files(found.card, found.folder)
    if any(one.card.name == found.card.name for one in known()):
        raise UsageError(f"weights called '{found.card.name}' are here already", "see `icectl models list`")
    root = user_folder()
    with worded_os_errors(root), own_folder(root) as box:
        shutil.copytree(found.folder, box / "weights")
        replace_folder(box / "weights", root / found.card.name, box)
    return Weights(root / found.card.name, found.card, "added by you")


def home(weights: Weights, workspace: Workspace) -> Path:
    """Return the folder that `bring` puts weights into; touches nothing."""
    saved = run_of(weights.folder)
    return workspace.run(saved["model"], saved["glacier"]["name"], saved["fingerprint"])


def bring(weights: Weights, plugin: Plugin, workspace: Workspace) -> Path:
    """Check `weights` against `plugin` and return the run that they become in `workspace`.

    UsageError: they are of another model. DataError: a file is damaged.
    """
    from icectl.imports import import_run

    check(weights, plugin)
    with own_folder(workspace.root) as box:
        import shutil

        copy = shutil.copytree(weights.folder, box / "weights", ignore=shutil.ignore_patterns(CARD))
        return import_run(copy, workspace)


def check(weights: Weights, plugin: Plugin) -> None:
    """Compare the files of weights with their card, and the card with the model; see `bring` for errors."""
    card = weights.card
    check_files(card, weights.folder)
    _expect_model(card, plugin)
    if run_of(weights.folder)["model"] != card.model:
        raise DataError(
            f"{RUN} of the weights '{card.name}' names another model than their card", "get them again"
        )
