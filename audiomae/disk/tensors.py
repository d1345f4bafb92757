"""Tensors on disk: safetensors, which run no code when they are read."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from audiomae.disk.files import write_atomically
from audiomae.errors import MissingError, StorageError

__all__ = ["read_tensors", "write_tensors"]


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
    except (OSError, SafetensorError) as error:
        raise MissingError(
            f"{path}: cannot be read ({error}). Take another copy, or make it again."
        ) from None
