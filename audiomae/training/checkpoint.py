"""Checkpoints: everything a training needs to go on, in files that run no code when they are read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from audiomae.data.files import read_json, write_json
from audiomae.data.tensors import read_tensors, write_tensors
from audiomae.errors import FingerprintError, MissingError, StorageError

__all__ = ["latest_checkpoint", "load_checkpoint", "save_checkpoint"]

_FORMAT = "audiomae-checkpoint/1"


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value if isinstance(value, torch.Tensor) else torch.tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
    }


def _fill_optimizer(optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def save_checkpoint(
    folder: Path, step: int, module: nn.Module, optimizer: Optimizer, state: dict[str, Any], *, keep: int = 2
) -> Path:
    """Save a checkpoint as `folder/step-XXXXXXXX`, whole or not at all, and drop all but the last `keep`.

    Raises:
        StorageError: If the disk refuses; the checkpoints there were are intact.
    """
    final = folder / f"step-{step:08d}"
    temporary, old = folder / f".{final.name}.tmp", folder / f".{final.name}.old"
    try:
        for left in folder.glob(".step-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_tensors(temporary / "model.safetensors", module.state_dict())
        write_tensors(temporary / "optimizer.safetensors", _optimizer_tensors(optimizer))
        write_json(temporary / "state.json", {**state, "format": _FORMAT, "step": step})
        if final.exists():  # moved away first: a kill must not leave half of it under its name
            final.rename(old)
        temporary.rename(final)
    except OSError as error:
        raise StorageError(
            f"{final}: cannot write ({error.strerror}). The last checkpoint is intact; free some space and run "
            "the same command again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for dropped in (old, *_checkpoints(folder)[:-keep]):
        shutil.rmtree(dropped, ignore_errors=True)
    return final


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(r"step-\d{8}", path.name))


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole, or None."""
    for path in reversed(_checkpoints(folder)):
        try:
            read_json(path / "state.json", format=_FORMAT)
        except (MissingError, json.JSONDecodeError):
            continue
        return path
    return None


def load_checkpoint(path: Path, module: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Fill a module and its optimiser from a checkpoint and return its state.

    Raises:
        MissingError: If a file is not there or cut short.
        FingerprintError: If it is of another model.
    """
    state = read_json(path / "state.json", format=_FORMAT)
    tensors = read_tensors(path / "model.safetensors")
    own = module.state_dict()
    if {name: value.shape for name, value in tensors.items()} != {
        name: value.shape for name, value in own.items()
    }:
        raise FingerprintError(f"{path}: its model has other sizes than this one. Name another --out folder.")
    module.load_state_dict(tensors)
    _fill_optimizer(optimizer, read_tensors(path / "optimizer.safetensors"))
    return state
