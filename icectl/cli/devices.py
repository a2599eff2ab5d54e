"""``icectl devices``: what there is to compute on, and what would be chosen, with the reason."""

from __future__ import annotations

from dataclasses import asdict

from icectl.cli.options import Json


def devices(
    as_json: Json = False,
) -> None:
    """List the devices here and say which one icectl would take, and why."""
    from icectl.cli import show
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
