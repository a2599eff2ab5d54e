"""Writes the reference page of the command line from the same tables that make the flags.

``python docs/reference/cli.py > docs/reference/cli.md``; a test keeps the page true.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from icectl import registry
from icectl.cli import flags, options, verbs
from icectl.contract import VERBS, Plugin


def page() -> str:
    """Return the whole page as Markdown."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True)
    templates.filters["cell"] = lambda text: (text or "").replace("|", "\\|")
    found = [one.plugin for one in registry.plugins() if one.plugin and one.distribution == "icectl"]
    made = templates.get_template("cli.md.j2").render(
        summaries=verbs.SUMMARIES,
        examples=verbs.EXAMPLES,
        shared=sorted(_shared(), key=lambda row: options.GROUPS.index(row[0])),
        models=[(p, sorted(_options(p), key=lambda row: options.GROUPS.index(row[0]))) for p in found],
    )
    return made.rstrip() + "\n"


def _shared() -> Iterator[tuple[str, ...]]:
    for name, annotation in options.SHARED.items():
        option = annotation.__metadata__[0]
        users = [verb for verb, names in options.OF_VERB.items() if name in names]
        where = "all" if len(users) == len(options.OF_VERB) else ", ".join(users)
        written = (option.default, *option.param_decls)  # Typer keeps the first name as "default"
        yield option.rich_help_panel, ", ".join(written), option.help, where


def _options(plugin: Plugin) -> Iterator[tuple[Any, ...]]:
    for verb in VERBS:
        for name, field in plugin.stages[verb].model_fields.items():
            meaning = flags.describe(field, flags.default_of(plugin.stages[verb], name))
            group = flags.group(verb, name, field)
            yield group, verb, flags.word(name, field), meaning, flags.flag_type(field.annotation)[1]


if __name__ == "__main__":
    print(page(), end="")
