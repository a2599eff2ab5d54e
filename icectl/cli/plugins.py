"""``icectl plugins``: the models that are installed, and those that are broken."""

from pathlib import Path
from typing import Annotated, Any

import typer

from icectl.cli import show
from icectl.cli.completions import offered
from icectl.cli.options import Json

app = typer.Typer(help="The models that are installed.", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_plugins(as_json: Json = False) -> None:
    """List every model with its task, distribution and state."""
    from icectl import registry

    found = registry.plugins()
    if as_json:
        show.as_json([_record(f) for f in found])
        return
    rows = [
        [
            f.name,
            f.plugin.task if f.plugin else "?",
            f"{f.distribution} {f.version}",
            f"broken: {f.problem}" if f.problem else _words(f),
        ]
        for f in found
    ]
    show.listing("plugins", ["model", "task", "from", "what it does"], rows)


def _words(found: Any) -> str:
    """Return a model's summary, and in brackets what is odd with the plugin."""
    return str(found.plugin.summary) + (f" ({found.note})" if found.note else "")


def _record(found: Any) -> dict[str, Any]:
    plugin = found.plugin
    record = {
        "name": found.name,
        "distribution": found.distribution,
        "version": found.version,
        "entry_point": found.value,
        "broken": found.problem or None,
        "note": found.note or None,
    }
    if plugin is not None:
        record |= {"task": plugin.task, "summary": plugin.summary, "aliases": list(plugin.aliases)}
    return record


@app.command("show")
def show_plugin(
    name: Annotated[str, typer.Argument(help="Model name or alias.", autocompletion=offered)],
    as_json: Json = False,
) -> None:
    """Show one model: what it is, where it comes from, and every option of every stage."""
    from icectl import registry
    from icectl.cli import flags, show
    from icectl.contract import VERBS

    plugin = registry.get(name)
    found = registry.owner(plugin)
    facts = {
        "name": plugin.name,
        "aliases": ", ".join(plugin.aliases),
        "task": plugin.task,
        "summary": plugin.summary,
        "from": f"{found.distribution} {found.version} ({found.value})",
        "code": plugin.model,
        "weights": ", ".join(plugin.weights),
        "default glacier": plugin.default_glacier,
        "API, schema": f"{plugin.api}, {plugin.schema}",
        "several devices": "yes" if plugin.multi_device else "no",
        "paper": plugin.paper,
    }
    if as_json:
        options = {verb: plugin.stages[verb].model_json_schema() for verb in VERBS}
        show.as_json({**facts, "options": options, "upgrades": dict(plugin.upgrades)})
        return
    show.listing("", ["", ""], [[key, value] for key, value in facts.items() if value])
    for verb in VERBS:
        rows = []
        for option, field in plugin.stages[verb].model_fields.items():
            _, choices = flags.flag_type(field.annotation)
            rows.append(
                [
                    flags.word(option, field),
                    "|".join(choices),
                    flags.describe(field, flags.default_of(plugin.stages[verb], option)),
                ]
            )
        print()
        show.listing(f"options of {verb}", ["flag", "choices", "meaning"], rows)


@app.command("new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the new model, e.g. my-net.")],
    task: Annotated[
        str,
        typer.Option(
            "--task", help="The task of the model, or a task of its own.", metavar="[snow|flow|front|bed|own]"
        ),
    ] = "snow",
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder to write the package into (default: here).")
    ] = Path(),
) -> None:
    """Write a complete small package: installs, trains on the demo glacier, passes the suite."""
    from icectl import scaffold

    made = scaffold.create(name, task, folder)
    print(made)
    typer.echo(
        f"next: pip install -e {made} && icectl plugins validate {name} && icectl run {name}", err=True
    )


@app.command("validate")
def validate_plugin(
    name: Annotated[str, typer.Argument(help="Name of an installed model.", autocompletion=offered)],
    full: Annotated[bool, typer.Option("--full", help="Train and predict too (minutes).")] = False,
    as_json: Json = False,
) -> None:
    """Tell a plugin's author what would keep it from working; exit code 1 if anything would."""
    from icectl.testing.report import validate

    results = validate(name, full)
    if as_json:
        show.as_json([{"check": r.sentence, "passed": r.passed, "reason": r.reason} for r in results])
    else:
        rows = [[r.sentence, "yes" if r.passed else "NO", r.reason] for r in results]
        show.listing(f"plugin {name}", ["check", "", "why not"], rows)
    if not all(r.passed for r in results):
        raise SystemExit(1)
