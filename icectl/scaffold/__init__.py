"""Writes a new plugin: a small, complete package that installs, trains and passes the suite untouched."""

from pathlib import Path

from icectl import registry
from icectl.errors import UsageError, WorkError
from icectl.tasks import TASKS

KINDS = (*TASKS, "own")
"""What a plugin can start from: a model of one of icectl's tasks, or a task of its own."""

_TEMPLATES = Path(__file__).parent / "templates"


def check_name(name: str) -> None:
    """Refuse a name that is no name for a plugin, or is taken.

    UsageError: with the name and the rule that it breaks.
    """
    if wrong := registry.name_problem(name):
        raise UsageError(wrong, "choose another")
    for found in registry.announced():
        if found.name == name:
            raise UsageError(
                f"the name '{name}' is taken by {found.distribution} {found.version}", "choose another"
            )


def create(name: str, kind: str, parent: Path) -> Path:
    """Write the package of plugin `name` into ``parent/icectl-NAME`` and return that folder.

    `name`: what users will type, e.g. ``"my-net"``. `kind`: one of `KINDS`. `parent`: an existing folder to
    put it into.

    UsageError: a bad name or kind, or a folder that exists.
    """
    check_name(name)
    if kind not in KINDS:
        raise UsageError(f"--task {kind} is not known", f"one of: {', '.join(KINDS)}")
    folder = parent / f"icectl-{name}"
    if folder.exists():
        raise UsageError(f"{folder} exists", "choose another name, or another --folder")
    values = {
        "name": name,
        "package": f"icectl_{name.replace('-', '_')}",
        "title": name.replace("-", " ").capitalize(),
        "class": "".join(part.capitalize() for part in name.split("-")),
    }
    try:
        for place, text in files(kind, values).items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkError(
            f"{folder} could not be written: {error.strerror}", "choose another --folder"
        ) from error
    return folder


def files(kind: str, values: dict[str, str]) -> dict[str, str]:
    """Return the text of every file of a new plugin, by its path in the package's folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = {}
    for folder in ("common", kind):
        # nothing here is HTML: these are Python, TOML and Markdown files of names we checked
        templates = Environment(
            loader=FileSystemLoader(_TEMPLATES / folder),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        for name in templates.list_templates():
            place = name.removesuffix(".j2").replace("PACKAGE", values["package"])
            found[place] = templates.get_template(name).render(**values, kind=kind)
    return found
