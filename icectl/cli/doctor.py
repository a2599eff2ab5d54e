"""``icectl doctor`` checks the installation and names what is wrong; ``icectl devices`` lists devices."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from icectl.cli import show
from icectl.cli.options import Json
from icectl.errors import IcectlError


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it is well, what was found, and what to do if not."""

    name: str
    ok: bool
    found: str
    hint: str = ""


def doctor(
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", help="Check this workspace, and every file in it by its checksum."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check packages, plugins, devices and the workspace; exits with 1 if something is wrong."""
    checks = [*(check for look in LOOKS for check in _found(look)), *writable(workspace)]
    if workspace is not None:
        checks += stages(workspace)
    if as_json:
        show.as_json([asdict(check) for check in checks])
    else:
        rows = [["ok" if c.ok else "WRONG", c.name, c.found, c.hint] for c in checks]
        show.listing("doctor", ["", "what", "found", "what to do"], rows)
    if not all(check.ok for check in checks):
        raise SystemExit(1)


def packages() -> Iterator[Check]:
    """Check that every package that icectl asks for is installed in a version it admits."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    for text in requires("icectl") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            yield Check(needed.name, False, "not installed", f"pip install '{needed}'")
            continue
        well = needed.specifier.contains(found, prereleases=True)
        if not well:
            yield Check(needed.name, False, found, f"icectl needs {needed.specifier}")
    yield Check("packages", True, "all looked at")


def torch_pair() -> Iterator[Check]:
    """Check that torch and torchvision are a matching pair: a mixed pair breaks timm."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    pair = f"torch {installed('torch')}, torchvision {installed('torchvision')}"
    hint = "install the matching pair from one index: pip install --force-reinstall torch torchvision"
    try:
        import torch
        import torchvision

        torch.ops.torchvision.nms  # noqa: B018, the lookup itself is the check
        ok = bool(torchvision.extension._has_ops())
        yield Check("torch and torchvision", ok, pair, "" if ok else hint)
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        yield Check("torch and torchvision", False, f"{pair}: {error}", hint)


def plugin_states() -> Iterator[Check]:
    """Check every announced plugin, and that its model can be imported."""
    from icectl import registry

    for found in registry.plugins():
        origin = f"{found.distribution} {found.version}"
        if found.problem or found.plugin is None:
            yield Check(
                f"plugin {found.name}",
                False,
                f"{origin}: {found.problem}",
                f"mend or remove {found.distribution}",
            )
            continue
        try:
            registry.load_model(found.plugin)
            yield Check(f"plugin {found.name}", True, f"{origin} ({found.note})" if found.note else origin)
        except IcectlError as problem:
            yield Check(f"plugin {found.name}", False, problem.message, problem.hint)


def device() -> Iterator[Check]:
    """Name the device that would be chosen."""
    from icectl.run import Compute
    from icectl.training.devices import resolve

    yield Check("device", True, resolve(Compute()).reason)


def _found(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except IcectlError as problem:  # torch does not fit into the address space
        yield Check(look.__name__.replace("_", " "), False, problem.message, problem.hint)


def stages(root: Path) -> Iterator[Check]:
    """Check that all files of every finished stage are as they were written."""
    from icectl.workspace import RECORD, damage

    records = sorted(path for kind in ("glaciers", "runs") for path in (root / kind).rglob(RECORD))
    hidden = [any(part.startswith(".") for part in path.relative_to(root).parts) for path in records]
    found = [path.parent for path, aside in zip(records, hidden, strict=True) if not aside]
    for folder in found:
        try:
            wrong = damage(folder, None)
        except IcectlError:
            wrong = [RECORD]
        if wrong:
            hint = "the command that made it makes it again; a run is moved away first"
            yield Check(str(folder.relative_to(root)), False, f"damaged: {', '.join(wrong[:3])}", hint)
    yield Check("stages", True, f"{len(found)} looked at")


def writable(chosen: Path | None) -> Iterator[Check]:
    """Check that the workspace can be written to."""
    from icectl.workspace import Workspace

    try:
        space = Workspace.locate(chosen)
        space.expect_writable()
    except IcectlError as problem:
        yield Check("workspace", False, problem.message, problem.hint)
    else:
        yield Check("workspace", True, str(space.root))


LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (packages, torch_pair, plugin_states, device)


def devices(as_json: Json = False) -> None:
    """List the devices here and say which one icectl would take, and why."""
    from icectl.cli.dry_run import human
    from icectl.run import Compute
    from icectl.training.devices import list_devices, resolve

    found = list_devices()
    decision = resolve(Compute())
    if as_json:
        show.as_json({"devices": [asdict(device) for device in found], "decision": asdict(decision)})
        return
    rows = [[d.device, str(d.index), d.name, human(d.memory or None), d.note] for d in found]
    show.listing("devices", ["device", "index", "name", "memory", "note"], rows)
    print(decision.reason)
