"""What the fault tests compare: every product of a workspace, by its digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

OPTIONS = ["--glacier", "demo", "--size", "64", "--updates", "12"]


def digests(workspace: Path) -> dict[str, str]:
    """Every product of a workspace by its digest; of records, only what is no time or cost."""
    found = {}
    for path in sorted(workspace.rglob("*")):
        name = path.relative_to(workspace).as_posix()
        if not path.is_file() or ".locks" in name or "tensorboard" in name or path.suffix == ".html":
            continue
        if path.name == "state.safetensors":  # holds the seconds of the training
            continue
        content = path.read_bytes()
        if path.name == "stage.json":
            record = json.loads(content)
            content = json.dumps(
                {key: record[key] for key in ("stage", "fingerprint", "options", "outputs")}
            ).encode()
        if path.name == "run.json":
            record = json.loads(content)
            content = json.dumps({key: record[key] for key in ("options", "fingerprint", "seed")}).encode()
        if path.name == "log.jsonl":
            lines = [json.loads(line) for line in content.decode().splitlines()]
            content = json.dumps(
                [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
            ).encode()
        found[name] = hashlib.sha256(content).hexdigest()
    return found
