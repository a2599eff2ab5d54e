"""Every option that more than one verb shares, declared once, as fields of `Shared`.

======================  =====================================================================
where                   glacier, glaciers, scenes, experiment, workspace, run, from_export, weights,
                        from_weights
how                     seed, force, chain, dry_run, json_output, quiet, verbose, logger
compute                 device, gpus, processes, precision, cluster
======================  =====================================================================

A name in this table is closed to plugins: `icectl.contract.RESERVED` holds them all, and the conformance
suite checks it.
"""

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

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

WHERE, HOW, COMPUTE = "Where", "How", "Devices"


def complete_glaciers(incomplete: str) -> list[str]:
    """Return the known glaciers that start with `incomplete`."""
    from icectl.settings import available

    return [name for name in available("glaciers") if name.startswith(incomplete)]


def complete_experiments(incomplete: str) -> list[str]:
    """Return the known experiments that start with `incomplete`."""
    from icectl.settings import available

    return [name for name in available("experiments") if name.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Return the ids of runs that start with `incomplete`, the newest first, and ``last``."""
    from icectl import stages
    from icectl.workspace import Workspace

    names = [run.name for run in reversed(stages.runs(Workspace.locate()))]
    return [name for name in dict.fromkeys([*names, stages.LAST]) if name.startswith(incomplete)]


def complete_weights(incomplete: str) -> list[str]:
    """Return the names of weights that start with `incomplete`."""
    from icectl import weights

    return [one.card.name for one in weights.known() if one.card.name.startswith(incomplete)]


def _option(*names: str, help: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False, **more)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What was typed of the options that verbs share; a field is a flag."""

    glacier: Annotated[
        list[str] | None,
        _option(
            "--glacier",
            help="Glacier by name; give it again for several.",
            panel=WHERE,
            autocompletion=complete_glaciers,
        ),
    ] = None
    glaciers: Annotated[
        str | None,
        _option(
            "--glaciers", help="Many glaciers: rgi:REGION (with --outlines), or a file of names.", panel=WHERE
        ),
    ] = None
    scenes: Annotated[
        Path | None,
        _option("--scenes", help="A folder of your own rasters instead of a download.", panel=WHERE),
    ] = None
    experiment: Annotated[
        str | None,
        _option(
            "--experiment",
            help="An experiment by name or TOML file; flags win over it.",
            panel=WHERE,
            autocompletion=complete_experiments,
        ),
    ] = None
    workspace: Annotated[
        Path | None,
        _option(
            "--workspace",
            help="Where everything is kept (default $ICECTL_WORKSPACE, else ./icectl-workspace).",
            panel=WHERE,
        ),
    ] = None
    run: Annotated[
        str | None,
        _option(
            "--run",
            help="A finished run (its id, folder, or last) to use instead of the newest.",
            panel=WHERE,
            autocompletion=complete_runs,
        ),
    ] = None
    from_export: Annotated[
        Path | None,
        _option("--from", help="Use the weights of an exported model (see `icectl export`).", panel=WHERE),
    ] = None
    from_weights: Annotated[
        str | None,
        _option(
            "--from",
            help="Start from trained weights: a name (`icectl models list`), an export or an address.",
            panel=WHERE,
            autocompletion=complete_weights,
        ),
    ] = None
    weights: Annotated[
        str | None,
        _option(
            "--weights",
            help="Trained weights: a name (`icectl models list`), a file or an address.",
            panel=WHERE,
            autocompletion=complete_weights,
        ),
    ] = None
    seed: Annotated[
        int | None,
        _option("--seed", help="Seed of every random draw (default 0).", panel=HOW, min=0, max=MAX_SEED),
    ] = None
    force: Annotated[
        bool,
        _option("--force", help="Do the stage again even if up to date; `run` does all stages.", panel=HOW),
    ] = False
    chain: Annotated[
        bool, _option("--chain/--no-chain", help="Run missing earlier stages first (default on).", panel=HOW)
    ] = True
    dry_run: Annotated[
        bool,
        _option(
            "--dry-run", help="Print what would be read, written and downloaded; touch nothing.", panel=HOW
        ),
    ] = False
    json_output: Annotated[bool, _option("--json", help="Print the result as JSON on stdout.", panel=HOW)] = (
        False
    )
    verbose: Annotated[bool, _option("--verbose", help="Print every table and note.", panel=HOW)] = False
    quiet: Annotated[bool, _option("--quiet", "-q", help="No progress bars, only warnings.", panel=HOW)] = (
        False
    )
    logger: Annotated[
        str | None,
        _option(
            "--logger",
            help="Record curves and scores in mlflow, wandb or tensorboard as well.",
            panel=HOW,
            autocompletion=lambda: ["mlflow", "wandb", "tensorboard"],
        ),
    ] = None
    device: Annotated[
        str | None,
        _option(
            "--device",
            help="auto, cpu, cuda or mps (default auto).",
            panel=COMPUTE,
            autocompletion=lambda: ["auto", "cpu", "cuda", "mps"],
        ),
    ] = None
    gpus: Annotated[
        int | None,
        _option("--gpus", help="Train on this many GPUs, one process each.", panel=COMPUTE, min=1),
    ] = None
    processes: Annotated[
        int | None,
        _option(
            "--processes",
            help="Training processes (default 1); on a CPU they talk through gloo.",
            panel=COMPUTE,
            min=1,
        ),
    ] = None
    precision: Annotated[
        str | None,
        _option(
            "--precision",
            help="32-true, bf16-mixed, 16-mixed, bf16-true or 64-true (default 32-true).",
            panel=COMPUTE,
            autocompletion=lambda: ["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"],
        ),
    ] = None
    cluster: Annotated[
        str | None,
        _option("--cluster", help="A Dask cluster: tcp://HOST:PORT, or local:N.", panel=COMPUTE),
    ] = None


SHARED: dict[str, Any] = get_type_hints(Shared, include_extras=True)
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
    defaults = {field.name: field.default for field in fields(Shared)}
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
