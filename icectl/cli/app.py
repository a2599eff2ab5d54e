"""The application: verbs and listings put together, and Typer's own errors worded like ours."""

import itertools
import os
from functools import partial
from typing import Annotated, Any

import typer

from icectl import __version__
from icectl.cli import compare, completions, doctor, export, glaciers, models, plugins, report, runs, verbs
from icectl.errors import UsageError

_VERBS = ("fetch", "prepare", "train", "predict", "evaluate", "run", "demo")


class _VerbsFirst(typer.core.TyperGroup):
    """Lists the verbs before all else; Typer would put groups last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name not in _VERBS)


app = typer.Typer(
    name="icectl",
    cls=_VerbsFirst,
    help="Deep learning on glaciers: fetch, prepare, train, predict, evaluate.",
    epilog="First steps: icectl demo · icectl plugins list · icectl train convlstm --dry-run",
    add_completion=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"icectl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _verb in _VERBS:
    app.add_typer(verbs.group(_verb), name=_verb, rich_help_panel="Verbs")
for _group in (plugins, models, runs, glaciers):
    app.add_typer(_group.app, name=_group.__name__.rpartition(".")[2], rich_help_panel="Look and manage")
_listing = partial(app.command, rich_help_panel="Look and manage")
_listing(context_settings=compare.CONTEXT)(compare.compare)
for _command in (report.report, export.export, doctor.devices, doctor.doctor, completions.completions):
    _listing()(_command)


INTERRUPTED = 130
"""The exit code that shells and Typer give to a Ctrl-C."""


def invoke(arguments: list[str]) -> int:
    """Run `arguments` and return the exit code."""
    command = typer.main.get_command(app)
    if os.environ.get(completions.VARIABLE):
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completions.join_words()
        completion_init()
        command.main(args=arguments, prog_name="icectl", complete_var=completions.VARIABLE)
        return 0
    try:
        result: Any = command.main(args=arguments, prog_name="icectl", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        message, wrong = error.format_message().strip(), getattr(error.__cause__, "errors", None)
        if wrong:  # pydantic's, of a value that is no number or out of its bounds
            from icectl.settings import wanted

            first = wrong(include_url=False)[0]
            name = error.param.opts[0]  # type: ignore[attr-defined]
            raise UsageError(f"{name} {first['input']} is not allowed", wanted(first)) from error
        if not message or type(error).__name__ == "NoArgsIsHelpError":
            return 2
        context = getattr(error, "ctx", None)
        words = itertools.takewhile(lambda word: not word.startswith("-"), arguments)
        command_path = context.command_path if context else " ".join(("icectl", *words))
        raise UsageError(*_worded(message, command_path)) from error
    if result == INTERRUPTED:  # Typer has swallowed a Ctrl-C
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _worded(message: str, command: str) -> tuple[str, str]:
    """Split Typer's message into a sentence and a hint, at worst the help of `command`."""
    sentence, mark, rest = message.partition(" Did you mean ")
    if mark:
        return sentence.rstrip("."), f"did you mean {rest}"
    return message.rstrip("."), f"see `{command} --help`"
