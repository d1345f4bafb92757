"""The vectors that a probe compares: the model's, an untrained one's, and statistics of the log-mel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.audio.decode import decode
from audiomae.audio.mel import LogMel
from audiomae.model.embedder import Embedder

__all__ = ["mel_statistics", "vectors_of_files"]

FILES_AT_ONCE = 64


def mel_statistics(log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and deviation over time of each mel band: what needs no model.

    Args:
        log_mels: (clips, frames, mels)

    Returns:
        (clips, 2 x mels)
    """
    return np.concatenate([log_mels.mean(axis=1), log_mels.std(axis=1)], axis=1).astype(np.float32)


def vectors_of_files(
    paths: Sequence[Path],
    embedders: dict[str, Embedder],
    *,
    on_files: Callable[[int], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Embed audio files, each decoded once, by every embedder and by mel statistics.

    Args:
        paths: Audio files.
        embedders: Models of the same sample rate and mel settings, by name.
        on_files: Called with the number of files of each batch when it is done.

    Returns:
        (files, d) for `mel statistics` and each name, in the order of `paths`.

    Raises:
        DecodeError: If a file cannot be read.
    """
    first = next(iter(embedders.values()))
    log_mel = LogMel(first.mel)
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ("mel statistics", *embedders)}
    for sounds in _stacks(paths, first.sample_rate):
        with torch.inference_mode():
            rows["mel statistics"].append(mel_statistics(log_mel(torch.from_numpy(sounds)).numpy()))
        for name, embedder in embedders.items():
            rows[name].append(embedder.embed(sounds, embedder.sample_rate, channels="none"))
        if on_files:
            on_files(len(sounds))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _stacks(paths: Sequence[Path], sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Decode files and stack neighbours of equal length, (files, samples)."""
    held: list[NDArray[np.float32]] = []
    for path in paths:
        sound = decode(path, sample_rate)
        if held and (len(sound) != len(held[0]) or len(held) == FILES_AT_ONCE):
            yield np.stack(held)
            held = []
        held.append(sound)
    if held:
        yield np.stack(held)
