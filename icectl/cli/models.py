"""``icectl models``: trained weights that are here, their cards, and how to add others."""

from typing import Annotated, Any

import typer

from icectl.cli import show
from icectl.cli.options import Json, complete_weights

app = typer.Typer(help="Trained weights, ready to use.", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the weights that are here: icectl's, those of plugins, and those that you added."""
    from icectl import weights

    found = weights.known()
    if as_json:
        show.as_json([_record(one) for one in found])
        return
    rows = [[w.card.name, w.card.model, w.card.licence, w.origin, w.card.summary] for w in found]
    show.listing("weights", ["name", "model", "licence", "from", "what they do"], rows)


def _record(found: Any) -> dict[str, Any]:
    return {**found.card.model_dump(mode="json"), "folder": str(found.folder), "from": found.origin}


@app.command("show")
def show_model(
    name: Annotated[
        str, typer.Argument(help="A name, folder, file or address.", autocompletion=complete_weights)
    ],
    as_json: Json = False,
) -> None:
    """Show the card of weights: what they learnt from, what they were tested on, their limits."""
    from icectl import weights

    found = weights.find(name)
    card = found.card
    if as_json:
        show.as_json(_record(found))
        return
    rows = [
        ["model", card.model],
        ["what they do", card.summary],
        ["use", card.use],
        ["licence", card.licence],
    ]
    rows += [["learnt from", f"{d.name} ({d.licence}; {d.source})"] for d in card.data]
    rows += [["tested on", _score(score)] for score in card.tested]
    rows += [["limit", limit] for limit in card.limits]
    rows += [["reads", ", ".join(card.inputs)], ["made by", card.command], ["folder", str(found.folder)]]
    show.listing(card.name, ["", ""], [row for row in rows if row[1]])


def _score(score: Any) -> str:
    value = f"{score.metric} {score.value:g} {score.unit}".strip()
    return f"{score.data}: {value}" + (f" ({score.baseline})" if score.baseline else "")


@app.command("add")
def add_model(
    source: Annotated[str, typer.Argument(help="A folder, a .zip, or an address (…#sha256=DIGEST).")],
    as_json: Json = False,
) -> None:
    """Keep weights from a folder, an archive or an address under their own name; nothing in them is run.

    Example: icectl models add https://example.org/fronts.zip#sha256=9f86d08…
    """
    from icectl import weights

    found = weights.add(source)
    if as_json:
        show.as_json(_record(found))
        return
    print(found.card.name)
