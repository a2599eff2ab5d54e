"""``icectl glaciers``: list, show and add places."""

from pathlib import Path
from typing import Annotated, Any

import typer

from icectl.cli import show
from icectl.cli.options import Json, complete_glaciers
from icectl.errors import IcectlError, UsageError

app = typer.Typer(help="The glaciers that are known by name.", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_glaciers(as_json: Json = False) -> None:
    """List every known glacier; your own files win over shipped ones."""
    from icectl import settings

    files, found = settings.available("glaciers"), []
    for name, path in files.items():
        try:
            found.append((settings.load_glacier(name), path))
        except IcectlError as problem:  # one bad file hides no other glacier
            show.warning(problem.message)
    if as_json:
        show.as_json([{**glacier.model_dump(mode="json"), "file": str(path)} for glacier, path in found])
        return
    rows = [[g.name, g.title, g.model, g.crs or "", str(path)] for g, path in found]
    show.listing("glaciers", ["name", "title", "model", "CRS", "file"], rows)


@app.command("show")
def show_glacier(
    name: Annotated[str, typer.Argument(help="Glacier name.", autocompletion=complete_glaciers)],
    as_json: Json = False,
) -> None:
    """Show one glacier."""
    from icectl import settings

    glacier = settings.load_glacier(name)
    values = glacier.model_dump(mode="json", exclude_none=True)
    if as_json:
        show.as_json(values)
        return
    show.listing(
        "", ["", ""], [[key, str(value)] for key, value in values.items() if value != {} and value != ""]
    )
    print(f"file: {settings.find('glaciers', name)}")


@app.command("add")
def add(
    name: Annotated[
        str, typer.Argument(help="The name you will type: small letters, digits, '-', '_', '.'.")
    ],
    bbox: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option("--bbox", help="West, south, east, north in degrees.", metavar="W S E N"),
    ] = None,
    outline: Annotated[
        Path | None,
        typer.Option("--outline", help="Vector file of the outline; gives the bounding box too."),
    ] = None,
    dem: Annotated[Path | None, typer.Option("--dem", help="Elevation model (GeoTIFF).")] = None,
    title: Annotated[str, typer.Option("--title", help="The name on maps.")] = "",
    crs: Annotated[str | None, typer.Option("--crs", help="CRS of products (default: the UTM zone).")] = None,
    model: Annotated[str, typer.Option("--model", help="Model used when none is named.")] = "convlstm",
    here: Annotated[
        bool, typer.Option("--here", help="Keep it in ./configs instead of your user folder.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Take the place of a glacier of that name.")] = False,
) -> None:
    """Add a glacier from a bounding box or an outline file.

    Example: icectl glaciers add hintereis --outline hintereis.gpkg
    """
    from icectl import registry, settings

    if bbox is None and outline is None:
        raise UsageError("a glacier needs a place", "give --bbox W S E N or --outline FILE")
    values: dict[str, Any] = {"name": name, "title": title or name, "model": registry.get(model).name}
    values |= {"crs": crs} if crs else {}
    for key, path in (("outline", outline), ("dem", dem)):
        if path is not None:
            if not path.exists():
                raise UsageError(f"--{key} {path} does not exist", "check the path")
            values[key] = str(path.absolute())
    values["bbox"] = bbox or _bbox_of(outline)
    settings.validate(settings.Glacier, values, "glaciers add")
    file = (
        Path("configs/glaciers").absolute() if here else settings.user_folder("glaciers")
    ) / f"{name}.toml"
    taken = file if file.exists() else settings.available("glaciers").get(name)
    if taken and not force:
        raise UsageError(f"{taken} is there already", "choose another name, or give --force to replace it")
    _write(file, values)
    print(file)


def _bbox_of(outline: Path | None) -> tuple[float, ...]:
    """Return west, south, east, north of a vector file in degrees."""
    from icectl.raster.vectors import box_in_degrees, read_vectors

    assert outline is not None
    return tuple(round(value, 6) for value in box_in_degrees(read_vectors(outline, crs="EPSG:4326")))


def _write(file: Path, values: dict[str, Any]) -> None:
    import tomli_w

    from icectl.workspace import worded_os_errors, writing

    with worded_os_errors(file.parent), writing(file) as stream:
        stream.write(tomli_w.dumps({key: value for key, value in values.items() if key != "name"}))
