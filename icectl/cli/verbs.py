"""The verbs: each is a group whose commands are the models, built from their options.

The model may be left out (``icectl prepare --glacier parvati``: the glacier's file names it) and
may stand after other flags (``icectl train --gpus 2 deeplab``).
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from icectl.cli import options
from icectl.cli.completions import offered
from icectl.errors import IcectlError, UsageError

if TYPE_CHECKING:  # pydantic comes with the contract: `icectl --help` needs neither
    from icectl.cli.asked import Files
    from icectl.contract import Plugin

SUMMARIES = {
    "fetch": "Bring scenes or elevation models into the workspace.",
    "prepare": "Turn fetched data into a dataset.",
    "train": "Train a model on one or many devices.",
    "predict": "Apply trained weights to whole scenes; writes GIS files.",
    "evaluate": "Score predictions beside simple baselines.",
    "run": "All five verbs and the report, skipping what is up to date.",
    "demo": "All five verbs on the synthetic glacier.",
}

EXAMPLES = {
    "fetch": "icectl fetch convlstm --glacier parvati --dry-run",
    "prepare": "icectl prepare --glacier parvati --scenes my-folder",
    "train": "icectl train deeplab --gpus 2",
    "predict": "icectl predict convlstm --scenes my-folder",
    "evaluate": "icectl evaluate convlstm --json",
    "run": "icectl run convlstm --glacier parvati --scenes my-folder --cadence scenes --preset small",
    "demo": "icectl demo, or icectl demo svg",
}


HELP_ALL = "--help-all"

NARROW = 60
"""Columns of a terminal below which help is plain text."""

_DATA = "glacier scenes labels flow resolution dem outlines"
_OFTEN = {
    "fetch": f"{_DATA} source start end",
    "prepare": f"{_DATA} cadence start end",
    "train": f"{_DATA} cadence preset updates device",
    "predict": f"{_DATA} cadence run weights forecast fjord",
    "evaluate": f"{_DATA} cadence run weights points fjord",
    "run": f"{_DATA} cadence preset updates device",
    "demo": "preset updates device",
}


def shown(verb: str) -> list[str]:
    """Return the options that ``--help`` shows of a verb; ``--help-all`` shows every one."""
    return f"workspace dry_run {_OFTEN[verb]}".split()


class LacksOption(UsageError):
    """An option was given to a model that does not have it; others do."""


class ModelCommand(TyperCommand):
    """One verb of one model; its help is short unless all of it is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after refusing an option without its value, and one that only other models have."""
        if not ctx.resilient_parsing:
            known = {word: p for p in self.params for word in [*p.opts, *p.secondary_opts]}
            for word, following in pairwise([*args, ""]):
                option = known.get(word)
                if option and not getattr(option, "is_flag", True) and following in known:
                    raise UsageError(f"{word} is given no value", f"{following} is an option, not a value")
                flag = word.partition("=")[0]
                verb = ctx.parent.info_name if ctx.parent else "run"
                if flag.startswith("--") and flag not in known and (hint := _where(self.name, verb, flag)):
                    raise LacksOption(f"{self.name} has no option {flag}", hint)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with rare options left out; without boxes where they would cut names off."""
        if shutil.get_terminal_size().columns < NARROW:
            self.rich_markup_mode = None
            for option in self.params:
                if text := getattr(option, "help", None):
                    option.help = text.replace(r"\[", "[")  # type: ignore[attr-defined]
        verb = ctx.command_path.split()[-2]
        rare = [p for p in self.params if p.name not in shown(verb)]
        rare = rare if len(rare) > 2 and not ctx.meta.get(HELP_ALL) else []
        for option in self.params:
            option.hidden = option in rare  # type: ignore[attr-defined]
        self.epilog = f"{len(rare)} more options: icectl {verb} {self.name} {HELP_ALL}" if rare else None
        super().format_help(ctx, formatter)


class LazyCommands(Mapping[str, Any]):
    """Commands by name, each built when it is asked for; names come without importing a plugin."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.built: dict[str, Any] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The announced models."""
        from icectl import registry

        return registry.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Any:
        from icectl import registry

        if name not in self.built:
            self.built[name] = command(self.verb, registry.get(name))
        return self.built[name]


class ModelGroup(TyperGroup):
    """A verb: lists models, builds the command of one, and finds the model if none is named."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.verb = str(self.name)
        self.commands = LazyCommands(self.verb)  # type: ignore[assignment]
        self.calling, self.incomplete = False, ""
        self.subcommand_metavar = "[MODEL] [OPTIONS]"

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the announced models; completion offers the long forms too."""
        return offered(self.incomplete) if ctx.resilient_parsing else list(self.commands)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return what a half-typed word may become."""
        self.incomplete = incomplete
        found: list[Any] = super().shell_complete(ctx, incomplete)
        return found

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of one model; listings show a broken one, completion passes over it."""
        try:
            return self.commands[cmd_name]
        except IcectlError as problem:
            if ctx.resilient_parsing:
                return None
            if not self.calling:
                return broken(cmd_name, problem)
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options; completion knows those of a model also before the model is typed."""
        own: list[Any] = super().get_params(ctx)
        models = list(self.commands) if ctx.resilient_parsing else []
        command = self.get_command(ctx, models[0]) if models else None
        known = {param.name for param in own}
        return own + ([param for param in command.params if param.name not in known] if command else [])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the model first, adding the default one where none is named."""
        from icectl.cli.asked import Files

        ctx.obj = Files()
        if HELP_ALL in args:
            ctx.meta[HELP_ALL] = True
            args = ["--help" if word == HELP_ALL else word for word in args]
        arranged = args if ctx.resilient_parsing else arrange(self.verb, args, ctx.obj)
        self.calling = bool(arranged) and not arranged[0].startswith("-")
        rest: list[str] = super().parse_args(ctx, arranged)
        return rest


def arrange(verb: str, args: list[str], files: Files | None = None) -> list[str]:
    """Return `args` with the model in front.

    >>> arrange("train", ["--gpus", "2", "convlstm"])
    ['convlstm', '--gpus', '2']
    """
    if not args and verb not in ("run", "demo"):
        return ["--help"]
    if args and (not args[0].startswith("-") or args[0] == "--help"):
        return args
    position = next((i for i, a in enumerate(args) if _is_model(verb, args, i)), None)
    if position is not None:
        return [args[position], *args[:position], *args[position + 1 :]]
    if "--help" in args:
        return ["--help"]
    if files is None:
        from icectl.cli.asked import Files

        files = Files()
    return [default_model(args, files), *args]


def _is_model(verb: str, args: list[str], i: int) -> bool:
    """Tell whether the word at `i` names a model and is not the value of the flag before it."""
    from icectl import registry

    word, before = args[i], args[i - 1] if i else ""
    if word.startswith("-") or before in options.valued(verb):
        return False
    if any(word in (found.name, found.whole) for found in registry.announced()):
        plugin = None  # announced: its descriptor is read only if a flag before it has to be understood
    else:
        distribution, _, alias = word.rpartition(":")
        found = (f for f in registry.plugins() if f.plugin and alias in f.plugin.aliases)
        plugin = next((f.plugin for f in found if distribution in ("", f.distribution)), None)
        if plugin is None:
            return False
    if not before.startswith("-") or "=" in before:
        return True
    try:
        return before in switches(verb, plugin or registry.get(word))
    except IcectlError:  # a broken plugin: its own command says so
        return True


def switches(verb: str, plugin: Plugin) -> set[str]:
    """Return the flags of one verb of one model that take no value, as they are typed."""
    from icectl.cli import flags

    own = flags.parameters(plugin, stages_of(verb))
    return options.switches([*options.parameters(verb), *own])


def default_model(args: list[str], files: Files) -> str:
    """Return the model that the experiment, the run or the glacier named in `args` stands for."""
    flags = ("--experiment", "--from", "--run", "--weights", "--glacier")
    named = {flag: value for flag in flags if (value := _value_of(flag, args))}
    if "--experiment" in named:
        return files.experiment(named["--experiment"]).model
    if "--from" in named:
        from icectl.imports import model_of

        return model_of(Path(named["--from"]))
    if "--run" in named:
        from icectl import registry
        from icectl.stages import find_run
        from icectl.workspace import Workspace, run_of

        workspace = _value_of("--workspace", args)
        run = find_run(Workspace.locate(Path(workspace) if workspace else None), named["--run"], weights=True)
        return registry.typed(registry.maker(run_of(run)))
    if "--weights" in named:
        from icectl import weights

        return weights.find(named["--weights"]).card.model
    return files.glacier(named.get("--glacier", "demo")).model


def _value_of(flag: str, args: list[str]) -> str | None:
    for i, word in enumerate(args):
        if word == flag and i + 1 < len(args):
            return args[i + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _where(model: Any, verb: str, flag: str) -> str:
    """Return which verbs of a model have a flag, else which models have it in this verb; nothing if none."""
    from icectl import registry
    from icectl.cli import flags

    def has(plugin: Plugin, verb: str) -> bool:
        return any(flag in options.typed_as(p) for p in flags.parameters(plugin, stages_of(verb)))

    usable = {registry.typed(plugin): plugin for plugin in registry.usable()}
    if model in usable and (verbs := [one for one in stages_of("run") if has(usable[model], one)]):
        return f"give it to {' or '.join(f'icectl {one} {model}' for one in verbs)}"
    others = [name for name, plugin in usable.items() if has(plugin, verb)]
    return f"name a model that has it: {', '.join(others)}" if others else ""


def broken(name: str, problem: IcectlError) -> Any:
    """Return a command that stands for a broken plugin in listings and fails when it is called."""

    def fail() -> None:
        raise problem

    fail.__doc__ = f"(broken) {problem.message}"
    return _as_command(name, fail)


def command(verb: str, plugin: Plugin) -> Any:
    """Build the command of one verb of one model: shared options, then the plugin's own."""
    from icectl import registry
    from icectl.cli import flags
    from icectl.contract import RESERVED

    stages = stages_of(verb)
    own = flags.parameters(plugin, stages)
    clash = sorted({p.name for p in own} & RESERVED)
    if clash:
        raise UsageError(
            f"the plugin '{plugin.name}' uses the reserved option name '{clash[0]}'", "tell its authors"
        )
    asked = sorted(
        [*options.parameters(verb), *own],
        key=lambda p: options.GROUPS.index(p.annotation.__metadata__[0].rich_help_panel),
    )

    def callback(context: typer.Context, **values: Any) -> None:
        from icectl.cli.asked import Asked, Files
        from icectl.cli.work import perform

        perform(Asked.of(verb, plugin, values, context.find_object(Files)))

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *asked]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in parameters}
    paper = f"\n\nPaper: {plugin.paper}" if plugin.paper else ""
    callback.__doc__ = f"{plugin.summary}\n\n{SUMMARIES[verb]}{paper}"
    return _as_command(registry.typed(plugin), callback)


def stages_of(verb: str) -> tuple[str, ...]:
    """Return the stages whose options a verb accepts: its own and those it may chain."""
    from icectl.contract import VERBS

    return VERBS if verb in ("run", "demo") else VERBS[: VERBS.index(verb) + 1]


def _as_command(name: str, callback: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name, cls=ModelCommand)(callback)
    return typer.main.get_command(app)


def group(verb: str) -> typer.Typer:
    """Return the Typer application of one verb."""
    return typer.Typer(
        name=verb,
        cls=ModelGroup,
        help=SUMMARIES[verb],
        epilog=f"Example: {EXAMPLES[verb]}",
        add_completion=False,
    )
