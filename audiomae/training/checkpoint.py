"""Checkpoints: everything a training needs to go on, in files that run no code when they are read.

step-00000100/
    state.json                 step and counters; written last
    model.safetensors          weights, and
    optimizer.safetensors      the optimiser's moments, where every process has all of them; or
    shards/*.safetensors       both, in the parts that the processes hold (FSDP)
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from audiomae.disk.files import read_json, write_json
from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import DataError, FingerprintError, MissingError, StorageError
from audiomae.training.optimizer import empty_state, fill_state, named_state
from audiomae.training.ranks import fail_together
from audiomae.training.sharded import copy_into, is_finite, read_parts, shapes_of_parts, write_parts

__all__ = [
    "checkpoint_weights",
    "latest_checkpoint",
    "load_checkpoint",
    "save_checkpoint",
    "save_sharded_checkpoint",
]

_FORMAT = "audiomae-checkpoint/2"
_OPTIMIZER = "optimizer/"
"""What the optimiser's names begin with among the shards."""


def _temporary(folder: Path, step: int) -> Path:
    return folder / f".step-{step:08d}.tmp"


def _begin(folder: Path, step: int) -> Path:
    """Make an empty folder to write into, and drop what killed runs have left."""
    temporary = _temporary(folder, step)
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def _finish(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Give a written folder its name, and drop old checkpoints."""
    temporary, final = _temporary(folder, step), folder / f"step-{step:08d}"
    old = folder / f".{final.name}.old"
    write_json(temporary / "state.json", {**state, "format": _FORMAT, "step": step})
    if final.exists():  # moved away first: a kill must not leave half of it under its name
        final.rename(old)
    temporary.rename(final)
    for dropped in (old, *_checkpoints(folder)[:-keep]):
        shutil.rmtree(dropped, ignore_errors=True)
    return final


def _refused(folder: Path, step: int, error: OSError) -> StorageError:
    return StorageError(
        f"{folder / f'step-{step:08d}'}: cannot write ({error.strerror}). The last checkpoint is intact; free some "
        "space and run the same command again."
    )


def save_checkpoint(
    folder: Path, step: int, module: nn.Module, optimizer: Optimizer, state: dict[str, Any], *, keep: int = 2
) -> Path:
    """Save a checkpoint as `folder/step-XXXXXXXX`, whole or not at all, and drop all but the last `keep`.

    Raises:
        StorageError: If the disk refuses; the checkpoints there were are intact.
    """
    temporary = _temporary(folder, step)
    try:
        _begin(folder, step)
        write_tensors(temporary / "model.safetensors", module.state_dict())
        write_tensors(temporary / "optimizer.safetensors", named_state(module, optimizer))
        return _finish(folder, step, state, keep)
    except OSError as error:
        raise _refused(folder, step, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_sharded_checkpoint(
    accelerator: Accelerator,
    folder: Path,
    step: int,
    module: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    *,
    keep: int = 2,
) -> None:
    """Save a checkpoint of weights that lie in parts on the processes; every process calls it.

    Raises:
        StorageError: On every process, if the disk refused one of them; the checkpoints there were are intact.
    """
    temporary, main = _temporary(folder, step), accelerator.is_main_process
    try:
        with fail_together(accelerator):
            if main:
                try:
                    (_begin(folder, step) / "shards").mkdir()
                except OSError as error:
                    raise _refused(folder, step, error) from error
        with fail_together(accelerator):
            moments = {_OPTIMIZER + name: value for name, value in named_state(module, optimizer).items()}
            write_parts(temporary / "shards", {**module.state_dict(), **moments})
        with fail_together(accelerator):
            if main:
                try:
                    _finish(folder, step, state, keep)
                except OSError as error:
                    raise _refused(folder, step, error) from error
    finally:
        if main:
            shutil.rmtree(temporary, ignore_errors=True)


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


def checkpoint_weights(path: Path, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Read the whole weights of a checkpoint of either kind, for a model with these shapes.

    Raises:
        MissingError: If a file is not there or cut short.
        FingerprintError: If it is of another model.
        DataError: If a weight is NaN or infinite.
    """
    if not (path / "shards").is_dir():
        tensors = read_tensors(path / "model.safetensors")
        _refuse_other(path, {name: value.shape for name, value in tensors.items()}, shapes)
        _refuse_infinite(path, tensors)
        return tensors
    found = shapes_of_parts(path / "shards")
    _refuse_other(path, found, shapes)
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    read_parts(path / "shards", weights)
    _refuse_infinite(path, weights)
    return weights


def _refuse_infinite(path: Path, weights: Mapping[str, Tensor]) -> None:
    for name, value in sorted(weights.items()):
        if not is_finite(value):
            raise DataError(
                f"{path}: tensor {name!r} has NaN or infinite entries. Delete this checkpoint; the one before it is "
                "taken then."
            )


def _refuse_other(path: Path, found: dict[str, torch.Size], own: dict[str, torch.Size]) -> None:
    if {name: size for name, size in found.items() if not name.startswith(_OPTIMIZER)} != own:
        raise FingerprintError(f"{path}: its model has other sizes than this one. Name another --out folder.")


def load_checkpoint(path: Path, module: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Fill a module and its optimiser from a checkpoint and return its state.

    The checkpoint may be whole or in shards, and so may the module: each process takes what it holds.

    Raises:
        MissingError: If a file is not there or cut short.
        FingerprintError: If it is of another model.
        DataError: If a weight is NaN or infinite.
    """
    state = read_json(path / "state.json", format=_FORMAT)
    weights = {name: value.detach() for name, value in module.state_dict().items()}
    shapes = {name: value.shape for name, value in weights.items()}
    with torch.no_grad():
        if (path / "shards").is_dir():
            found = shapes_of_parts(path / "shards")
            _refuse_other(path, found, shapes)
            stored_parts = [name for name in found if name.startswith(_OPTIMIZER)]
            moments = empty_state(module, [name.removeprefix(_OPTIMIZER) for name in stored_parts])
            named = {_OPTIMIZER + name: value for name, value in moments.items()}
            read_parts(path / "shards", {**weights, **named})
        else:
            tensors = read_tensors(path / "model.safetensors")
            _refuse_other(path, {name: value.shape for name, value in tensors.items()}, shapes)
            stored = read_tensors(path / "optimizer.safetensors")
            moments = empty_state(module, stored)
            for name, target in weights.items():
                copy_into(target, tensors[name])
            for name, target in moments.items():
                copy_into(target, stored[name])
    _refuse_infinite(path, weights)
    fill_state(module, optimizer, moments)
    return state
