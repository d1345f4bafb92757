"""Tensors that lie in parts on several processes: written part by part, read back at any number of processes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor

from audiomae.errors import MissingError, StorageError

__all__ = ["copy_into", "is_finite", "read_parts", "shapes_of_parts", "write_parts"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from remarking that one process reads alone, which is meant."""
    logger = logging.getLogger("torch.distributed.checkpoint")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def write_parts(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write each process's parts of `tensors` into `folder`; every process calls it.

    Args:
        folder: Must be there, and be the same on all processes.
        tensors: DTensors, and tensors that are alike everywhere.

    Raises:
        StorageError: On every process, if one could not write.
    """
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        with _quiet():
            save({name: value.detach() for name, value in tensors.items()}, storage_writer=writer)
    except (CheckpointException, OSError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise StorageError(
            f"{folder}: cannot write ({reason}). The last checkpoint is intact; free some space and run the same "
            "command again."
        ) from error


def shapes_of_parts(folder: Path) -> dict[str, torch.Size]:
    """Return the whole shape of every tensor that lies in parts in `folder`.

    Raises:
        MissingError: If a file is cut short.
    """
    try:
        with _quiet():
            found = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    except (OSError, SafetensorError, ValueError, KeyError, AssertionError) as error:
        raise MissingError(f"{folder}: cannot be read ({error}). Delete this checkpoint.") from error
    return {name: value.size for name, value in found.items() if isinstance(value, TensorStorageMetadata)}


def read_parts(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors` in place: whole ones, or this process's parts of DTensors; each process reads for itself.

    Raises:
        MissingError: If a part is missing or cut short.
    """
    try:
        with _quiet():
            load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    except (CheckpointException, OSError, SafetensorError, RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise MissingError(
            f"{folder}: a part is missing, cut short or damaged ({reason}). Delete this checkpoint; the one before it "
            "is taken then."
        ) from error


def is_finite(tensor: Tensor) -> bool:
    """Return whether all entries that this process holds are numbers, none of them infinite."""
    held = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return not held.is_floating_point() or bool(torch.isfinite(held).all())


def copy_into(target: Tensor, whole: Tensor) -> None:
    """Copy a whole tensor into `target`, or this process's part of it."""
    if isinstance(target, DTensor):
        moved = whole.to(target.device)
        target.copy_(distribute_tensor(moved, target.device_mesh, target.placements))
    else:
        target.copy_(whole)
