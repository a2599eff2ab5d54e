"""Writes the reference page of the command line from the same tables that make the flags.

``python -m icectl.cli.reference > docs/reference/cli.md``; a test keeps the page true.
"""

from collections.abc import Iterator
from typing import Any

from icectl import registry
from icectl.cli import flags, options, verbs
from icectl.contract import VERBS, Plugin


def page() -> str:
    """Return the whole page as Markdown."""
    lines = ["# Command line", "", "`icectl VERB [MODEL] [options]`", "", *_verbs(), *_shared()]
    for found in registry.plugins():
        if found.plugin is not None and found.distribution == "icectl":
            lines += _model(found.plugin)
    return "\n".join(lines).rstrip() + "\n"


def _verbs() -> Iterator[str]:
    yield from ("| verb | what it does | example |", "|---|---|---|")
    for verb, summary in verbs.SUMMARIES.items():
        yield f"| `{verb}` | {summary} | `{verbs.EXAMPLES[verb]}` |"
    yield ""


def _shared() -> Iterator[str]:
    yield from ("## Options that verbs share", "", "| option | meaning | verbs |", "|---|---|---|")
    for name, annotation in options.SHARED.items():
        option = annotation.__metadata__[0]
        users = [verb for verb, names in options.OF_VERB.items() if name in names]
        where = "all" if len(users) == len(options.OF_VERB) else ", ".join(users)
        written = ", ".join((option.default, *option.param_decls))  # Typer keeps the first name as "default"
        yield f"| `{written}` | {_cell(option.help)} | {where} |"
    yield ""


def _model(plugin: Plugin) -> Iterator[str]:
    yield from (f"## {plugin.name}", "", plugin.summary, "")
    if plugin.aliases:
        yield from (f"Also called {', '.join(f'`{a}`' for a in plugin.aliases)}.", "")
    yield from ("| stage | option | meaning |", "|---|---|---|")
    for verb in VERBS:
        for name, field in plugin.stages[verb].model_fields.items():
            default = flags.default_of(plugin.stages[verb], name)
            meaning = f"{_cell(flags.describe(field, default))}{_choices(field)}"
            yield f"| {verb} | `{flags.word(name, field)}` | {meaning} |"
    yield ""


def _choices(field: Any) -> str:
    _, choices = flags.flag_type(field.annotation)
    return f" One of {_cell(', '.join(f'`{c}`' for c in choices))}." if choices else ""


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
