"""Makes weights that ship out of a finished run: half precision, a card, checksums."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icectl.errors import DataError
from icectl.export import CARD as README
from icectl.export import export_run
from icectl.settings import Glacier, validate
from icectl.weights.card import CARD, Card, readme
from icectl.workspace import RECORD, RUN, contents, fingerprint, read_json, sha256, write_json

_SUFFIX = ".safetensors"


def make(run: Path, folder: Path, card: Mapping[str, Any]) -> Card:
    """Write the weights of `run` to `folder`, which must not exist, and return their card.

    `run`: a finished run. `folder`: where the weights appear; the last part of it is their name. `card`:
    what `Card` holds, but for `name`, `model`, `command` and `files`, which are filled in.

    UsageError: the card lacks something, or the folder exists. DataError: a weight does not fit into half
    precision.
    """
    import tomli_w

    saved = read_json(run / RUN)
    values = {"name": folder.name, "model": saved["model"], "command": saved["command"], **card}
    page = readme(validate(Card, {**values, "files": {RUN: ""}}, "the card"))
    export_run(run, folder, str(card["licence"]))
    for path in folder.glob(f"*{_SUFFIX}"):
        halve(path)
    (folder / README).write_text(page, encoding="utf-8")
    digests = {path.name: sha256(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
    _rename(folder, fingerprint([saved["fingerprint"], digests]), values)
    files = {p.relative_to(folder).as_posix(): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    made = validate(Card, {**values, "files": files}, "the card")
    plain = made.model_dump(mode="json", exclude_none=True)
    (folder / CARD).write_text(tomli_w.dumps(plain, multiline_strings=True), encoding="utf-8")
    return made


def halve(path: Path) -> None:
    """Keep matrices and kernels of the module that answers in half precision; vectors stay as they are.

    Vectors hold means and variances of batch normalisation, which half precision would overflow.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from icectl.training import read_metadata

    kept = read_metadata(path).get("kept", "")
    with safe_open(path, "pt") as file:
        facts = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys() if name.startswith(kept)}  # noqa: SIM118, not a mapping
    for name, tensor in state.items():
        if tensor.dtype == torch.float32 and tensor.ndim > 1:
            state[name] = tensor.half()
            if not torch.isfinite(state[name]).all():
                raise DataError(
                    f"{name} in {path} does not fit into half precision", "train with weight decay"
                )
    save_file(state, path, metadata=facts)


def _rename(folder: Path, identity: str, card: Mapping[str, Any]) -> None:
    """Give the records the fingerprint of the weights as shipped, and what `card` says."""
    name, learnt_from = str(card["name"]), str(card["data"][0]["name"])
    for record in (RUN, RECORD):
        values = read_json(folder / record)
        if record == RUN:
            values["glacier"] = Glacier(name=name, title=learnt_from).model_dump(mode="json")
        files = {"files": contents(folder, values["outputs"])} if record == RECORD else {}
        own = {"fingerprint": identity, "weights": name, "command": card["command"]}
        write_json(folder / record, {**values, **own, **files})
