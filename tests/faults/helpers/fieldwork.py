"""What the fault tests compare: every product of a workspace, by its digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import rasterio
from safetensors import safe_open

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
        if path.name == "item.json":
            item = json.loads(content)
            for key in ("created", "datetime"):  # a prediction without dated scenes is dated now
                item["properties"].pop(key)
            content = json.dumps(item).encode()
        if path.name == "log.jsonl":
            lines = [json.loads(line) for line in content.decode().splitlines()]
            content = json.dumps(
                [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
            ).encode()
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def half_written(workspace: Path) -> list[str]:
    """Visible files that are not whole. (Hidden ones are work in progress; the log's last line may be.)"""
    found = []
    for path in workspace.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(workspace).parts)
        if hidden or not path.is_file():
            continue
        try:
            if path.suffix == ".tif":
                with rasterio.open(path) as raster:
                    raster.checksum(1)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as tensors:
                    [tensors.get_tensor(name) for name in tensors.keys()]  # noqa: SIM118
            elif path.suffix == ".html":
                assert path.read_text().rstrip().endswith("</html>")
        except Exception as error:
            found.append(f"{path.relative_to(workspace)}: {error}")
    return found
