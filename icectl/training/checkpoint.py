"""Weights and training state as data, never as code: safetensors with JSON in its metadata.

Weights are what is shipped and predicted with. State is everything an interrupted training
needs to go on bit-equal: nested dictionaries of tensors and plain values, packed into one file.
Files appear whole or not at all; pickles, truncated files and other schemas are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icectl.errors import DataError, worded
from icectl.workspace import writing

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS_SCHEMA = "icectl-weights-1"
STATE_SCHEMA = "icectl-state-1"
_MAX_HEADER = 100_000_000  # the bound that safetensors itself sets
_KEY = "icectl"
_MARK = "__tensor__"


def save_weights(path: Path, module: nn.Module, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write the parameters and buffers of `module` with JSON `metadata`; atomic.

    Tied tensors are written once under each of their names.

    Raises
    ------
    WorkError
        The file cannot be written (no space, no permission).
    """
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}
    return _write(path, tensors, WEIGHTS_SCHEMA, dict(metadata or {}))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return ``(state_dict, metadata)`` of a weights file, on the CPU.

    Raises
    ------
    DataError
        No such file, not safetensors (a pickle, say), truncated, or another kind of file.
    """
    return _read(path, WEIGHTS_SCHEMA)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a weights or state file without reading tensors or importing torch."""
    header = _header(path)
    return _content(path, header.get("__metadata__", {}), None)


def save_state(path: Path, state: Mapping[str, Any]) -> Path:
    """Write nested `state` (dicts, lists, tuples, numbers, strings, None, tensors); atomic."""
    tensors: dict[str, Tensor] = {}
    return _write(path, tensors, STATE_SCHEMA, _pack(state, "", tensors))


def load_state(path: Path) -> dict[str, Any]:
    """Return what `save_state` wrote, equal to the last bit. Raises DataError as `load_weights` does."""
    tensors, packed = _read(path, STATE_SCHEMA)
    return dict(_unpack(packed, tensors))


def _pack(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON with each tensor replaced by its name in `tensors`."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors[where] = value.detach().cpu().contiguous().clone()
        return {_MARK: where}
    if isinstance(value, Mapping):
        pairs = [[key, _pack(item, f"{where}/{key}", tensors)] for key, item in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("__") for key in value)
        return dict(pairs) if plain else {"__pairs__": pairs}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{where}/{i}", tensors) for i, item in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a training state cannot hold {type(value).__name__} (at {where})")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _MARK in value:
        return tensors[value[_MARK]]
    if "__tuple__" in value:
        return tuple(_unpack(item, tensors) for item in value["__tuple__"])
    if "__pairs__" in value:
        return {key: _unpack(item, tensors) for key, item in value["__pairs__"]}
    return {key: _unpack(item, tensors) for key, item in value.items()}


def _write(path: Path, tensors: Mapping[str, Tensor], schema: str, content: Any) -> Path:
    """Write aside, fsync, replace, fsync the folder."""
    from safetensors.torch import save

    # one key only: safetensors writes several in a random order, and equal states should be equal files
    metadata = {_KEY: json.dumps({"schema": schema, "content": content})}
    try:
        with writing(path, "wb") as file:
            file.write(save(dict(tensors), metadata=metadata))
    except OSError as error:
        raise worded(error, path) or error from error
    return path


def _read(path: Path, schema: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    content = _content(path, _header(path).get("__metadata__", {}), schema)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged: {error}", _REDO) from error
    return tensors, content


_REDO = "delete the file and train again, or restore it from a copy"


def _header(path: Path) -> dict[str, Any]:
    """Return a safetensors file's JSON header, refusing everything that has none."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if size < 8 or length > min(size - 8, _MAX_HEADER):
                raise DataError(f"{path} {_what(start)}", _REDO)
            header = json.loads(file.read(length))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", "train first") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} {_what(start)}", _REDO) from error
    if not isinstance(header, dict):
        raise DataError(f"{path} is not a safetensors file", _REDO)
    return header


def _what(start: bytes) -> str:
    """Name what a file is that is not safetensors."""
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return "is a pickle, which may hold code and is never loaded"
    return "is not a whole safetensors file (damaged or truncated)"


def _content(path: Path, metadata: Any, schema: str | None) -> dict[str, Any]:
    try:
        written = json.loads(metadata[_KEY])
        found, content = written["schema"], dict(written["content"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} was not written by icectl: it lacks our metadata", _REDO) from error
    if schema is not None and found != schema:
        raise DataError(f"{path} is of schema {found!r}, {schema!r} is expected", "pick the right file")
    return content
