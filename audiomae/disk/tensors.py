"""Tensors on disk: safetensors, which run no code when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from audiomae.disk.files import write_atomically
from audiomae.errors import DataError, MissingError, StorageError, reason_of

__all__ = ["check_tensors", "read_tensors", "write_tensors"]


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors atomically; the same tensors give the same bytes.

    Raises:
        StorageError: If the disk refuses; what was there before is intact.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with write_atomically(path) as temporary:
            temporary.touch()
            mode = temporary.stat().st_mode
            save_file(plain, temporary)
            temporary.chmod(mode)  # safetensors leaves a file that nobody else may read
    except SafetensorError as error:
        raise StorageError(
            f"{path}: cannot write ({error}). What was there before is intact; free some space and run the same "
            "command again."
        ) from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors.

    Raises:
        MissingError: If the file is not there, cut short or damaged.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise MissingError(
            f"{path}: cannot be read ({reason_of(error)}). Take another copy, or make it again."
        ) from None


def check_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> None:
    """Refuse tensors that do not fit a model: others, of another shape, not of numbers with a point, or not finite.

    Args:
        path: Where they were read, for messages.
        tensors: What was read.
        wanted: The model's own; they may lie on the meta device, which takes no memory.

    Raises:
        DataError: With the first that is wrong.
    """
    names = sorted(wanted.keys() ^ tensors.keys())
    if names:
        what = "is missing" if names[0] in wanted else "is not one of this model's"
        raise DataError(f"{path}: tensor {names[0]!r} {what}. Take another copy.")
    for name, model in sorted(wanted.items()):
        found = tensors[name]
        if found.shape != model.shape:
            raise DataError(
                f"{path}: tensor {name!r} has shape {list(found.shape)}, not {list(model.shape)}. Take another copy."
            )
        if found.dtype != model.dtype:
            raise DataError(
                f"{path}: tensor {name!r} holds {found.dtype}, not {model.dtype}. Take another copy."
            )
        if not torch.isfinite(found).all():
            raise DataError(f"{path}: tensor {name!r} has NaN or infinite entries. Take another copy.")
