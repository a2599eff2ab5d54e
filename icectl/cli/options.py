"""Every option that more than one verb shares, declared once, as fields of `Shared`.

A name of theirs is closed to plugins: `icectl.contract.RESERVED` holds them all, and the conformance
suite checks it.
"""

import inspect
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from urllib.parse import unquote

import typer

from icectl.errors import WorkError

MAX_SEED = 2**32 - 1
"""The largest seed that numpy's generators take."""

Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Where = Annotated[
    Path | None,
    typer.Option(
        "--workspace", help="Where runs are kept (default $ICECTL_WORKSPACE, else ./icectl-workspace)."
    ),
]
"""Options of the listings."""

GROUPS = ("Data", "Network", "Optimisation", "Post-processing", "Output", "Running", "Devices")
DATA, NETWORK, OPTIMISATION, AFTER, OUTPUT, HOW, COMPUTE = GROUPS
"""What the help and the reference sort options by; the last two hold none of a model."""


def complete_glaciers(incomplete: str) -> list[str]:
    """Return the known glaciers that start with `incomplete`."""
    from icectl.settings import available

    return [name for name in available("glaciers") if name.startswith(incomplete)]


def complete_experiments(incomplete: str) -> list[str]:
    """Return the known experiments that start with `incomplete`."""
    from icectl.settings import available

    return [name for name in available("experiments") if name.startswith(incomplete)]


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of runs that start with `incomplete`, the newest first, and ``last``."""
    from icectl import stages
    from icectl.workspace import Workspace

    try:
        found = stages.runs(Workspace.locate(ctx.params.get("workspace")))
    except WorkError:  # no workspace, no run
        return []
    names = [run.name for run in reversed(found)]
    return [name for name in dict.fromkeys([*names, stages.LAST]) if name.startswith(incomplete)]


def complete_weights(incomplete: str) -> list[str]:
    """Return the names of weights that start with `incomplete`."""
    from icectl import weights

    return [one.card.name for one in weights.known() if one.card.name.startswith(incomplete)]


_FILE = re.compile(r"(?P<option>--[a-z-]+=)?file:(?://(?:localhost)?)?(?P<path>/(?!/).*)", re.DOTALL)


def local(word: str) -> str:
    """Return the path in an address of this machine (``file://``), as file managers copy it; else the word.

    >>> local("file:///my%20data"), local("--scenes=file:/data"), local("file://other/data"), local("a")
    ('/my data', '--scenes=/data', 'file://other/data', 'a')
    """
    found = _FILE.fullmatch(word)
    return (found["option"] or "") + unquote(found["path"]) if found else word


def _flag(panel: str, help: str, *words: str, default: Any = None, complete: Any = None, **more: Any) -> Any:
    """Return a field that is a flag, called as the field is where no `words` are given."""
    told = {"help": help, "rich_help_panel": panel, "show_default": False, "autocompletion": complete, **more}
    return field(default=default, metadata={"words": words, "told": told})


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What was typed of the options that verbs share; a field is a flag."""

    glacier: list[str] | None = _flag(
        DATA, "Glacier by name; give it again for several.", complete=complete_glaciers
    )
    glaciers: str | None = _flag(DATA, "Many glaciers: rgi:REGION (with --outlines), or a file of names.")
    scenes: Path | None = _flag(DATA, "A folder of your own rasters instead of a download.")
    experiment: str | None = _flag(
        HOW, "An experiment by name or TOML file; flags win over it.", complete=complete_experiments
    )
    workspace: Path | None = _flag(
        HOW, "Where everything is kept (default $ICECTL_WORKSPACE, else ./icectl-workspace)."
    )
    run: str | None = _flag(
        NETWORK, "A finished run (its id, folder, or last) to use instead of the newest.",
        complete=complete_runs,
    )  # fmt: skip
    from_export: Path | None = _flag(
        NETWORK, "Use the weights of an exported model (see `icectl export`).", "--from"
    )
    from_weights: str | None = _flag(
        NETWORK, "Start from trained weights: a name (`icectl models list`), an export or an address.",
        "--from", complete=complete_weights,
    )  # fmt: skip
    weights: str | None = _flag(
        NETWORK, "Trained weights: a name (`icectl models list`), a file or an address.",
        complete=complete_weights,
    )  # fmt: skip
    seed: int | None = _flag(HOW, "Seed of every random draw (default 0).", min=0, max=MAX_SEED)
    force: bool = _flag(HOW, "Do the stage again even if up to date; `run` does all stages.", default=False)
    chain: bool = _flag(
        HOW, "Run missing earlier stages first (default on).", "--chain/--no-chain", default=True
    )
    dry_run: bool = _flag(
        HOW, "Print what would be read, written and downloaded; touch nothing.", default=False
    )
    json_output: bool = _flag(OUTPUT, "Print the result as JSON on stdout.", "--json", default=False)
    verbose: bool = _flag(OUTPUT, "Print every table and note.", default=False)
    quiet: bool = _flag(OUTPUT, "No progress bars, only warnings.", "--quiet", "-q", default=False)
    logger: str | None = _flag(
        HOW, "Record curves and scores in mlflow, wandb or tensorboard as well.",
        complete=lambda: ["mlflow", "wandb", "tensorboard"],
    )  # fmt: skip
    device: str | None = _flag(
        COMPUTE, "auto, cpu, cuda or mps (default auto).", complete=lambda: ["auto", "cpu", "cuda", "mps"]
    )
    gpus: int | None = _flag(COMPUTE, "Train on this many GPUs, one process each.", min=1)
    processes: int | None = _flag(
        COMPUTE, "Training processes (default 1); on a CPU they talk through gloo.", min=1
    )
    precision: str | None = _flag(
        COMPUTE, "32-true, bf16-mixed, 16-mixed, bf16-true or 64-true (default 32-true).",
        complete=lambda: ["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"],
    )  # fmt: skip
    cluster: str | None = _flag(COMPUTE, "A Dask cluster: tcp://HOST:PORT, or local:N.")


_TYPES = get_type_hints(Shared)
SHARED: dict[str, Any] = {
    one.name: Annotated[
        _TYPES[one.name],
        typer.Option(*(one.metadata["words"] or [f"--{one.name.replace('_', '-')}"]), **one.metadata["told"]),
    ]
    for one in fields(Shared)
}
"""The annotation of each shared option: its type and its flag."""


_EVERYWHERE = ("glacier", "glaciers", "scenes", "experiment", "workspace")
_ALWAYS = ("seed", "force", "chain", "dry_run", "json_output", "quiet", "verbose")
_DEVICES = ("device", "gpus", "processes", "precision")

OF_VERB: dict[str, tuple[str, ...]] = {
    "fetch": (*_EVERYWHERE, *_ALWAYS, "cluster"),
    "prepare": (*_EVERYWHERE, *_ALWAYS, "cluster"),
    "train": (*_EVERYWHERE, "from_weights", *_ALWAYS, "logger", *_DEVICES),
    "predict": (*_EVERYWHERE, "run", "from_export", "weights", *_ALWAYS, *_DEVICES, "cluster"),
    "evaluate": (*_EVERYWHERE, "run", "from_export", "weights", *_ALWAYS, "logger", *_DEVICES),
    "run": (*_EVERYWHERE, *_ALWAYS, "logger", *_DEVICES, "cluster"),
    "demo": ("workspace", *_ALWAYS, *_DEVICES),
}


def parameters(verb: str) -> list[inspect.Parameter]:
    """Return the shared options of `verb` as keyword parameters for a built signature."""
    defaults = {one.name: one.default for one in fields(Shared)}
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=SHARED[name]
        )
        for name in OF_VERB[verb]
    ]


def switches(parameters: list[inspect.Parameter]) -> set[str]:
    """Return the flags among `parameters` that take no value, as they are typed.

    >>> sorted(switches(parameters("fetch")))[:3]
    ['--chain', '--dry-run', '--force']
    """
    flags = [p for p in parameters if p.annotation.__origin__ in (bool, bool | None)]
    return {word for parameter in flags for word in typed_as(parameter)}


def typed_as(parameter: inspect.Parameter) -> list[str]:
    """Return the words that stand for a parameter, e.g. ``["--quiet", "-q"]``."""
    option = parameter.annotation.__metadata__[0]
    names = (option.default, *option.param_decls)  # Typer keeps the first name as "default"
    return [word for name in names for word in name.split("/")]


def valued(verb: str) -> set[str]:
    """Return the shared flags of `verb` that take a value.

    >>> "--glacier" in valued("fetch"), "--force" in valued("fetch")
    (True, False)
    """
    shared = parameters(verb)
    return {word for parameter in shared for word in typed_as(parameter)} - switches(shared)
