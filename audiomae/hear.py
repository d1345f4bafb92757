"""The common API of the HEAR 2021 challenge, so that its evaluation kit can judge a trained model.

    model = load_model()  # the model in the package; load_model("run/") for one of yours
    scenes = get_scene_embeddings(audio, model)  # (sounds, scene_embedding_size)
    moments, milliseconds = get_timestamp_embeddings(audio, model)

Source: Turian et al. 2022, "HEAR: Holistic Evaluation of Audio Representations" (arXiv:2203.03022).
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from audiomae.audio.mel import LogMel
from audiomae.errors import DataError
from audiomae.model.embedder import Embedder, load
from audiomae.model.level import normalise_clips

__all__ = ["HearModel", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

SOUNDS_AT_ONCE = 32


class HearModel(nn.Module):
    """A trained model with the attributes that HEAR asks for.

    Attributes:
        sample_rate: Rate that audio must have, in Hz.
        scene_embedding_size: Entries of a sound's vector.
        timestamp_embedding_size: Entries of a moment's vector: the tokens of one column of patches.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.autoencoder = embedder.autoencoder
        self.embedder = embedder
        self.sample_rate = embedder.sample_rate
        self.scene_embedding_size = embedder.dim
        self.timestamp_embedding_size = embedder.config.rows * embedder.config.width
        self.log_mel = LogMel(embedder.mel)


def load_model(model_file_path: str | os.PathLike[str] = "tiny") -> HearModel:
    """Load a model for HEAR.

    Args:
        model_file_path: Run folder, a file in it, or the name of a model in the package; `tiny` by default.

    Raises:
        MissingError: If there is no model.
    """
    path = Path(model_file_path)
    return HearModel(load(path.parent if path.is_file() else path, device="cpu"))


def get_scene_embeddings(audio: Tensor, model: HearModel) -> Tensor:
    """Return one vector a sound.

    Args:
        audio: (sounds, samples), mono, in [-1, 1], at `model.sample_rate`.
        model: From `load_model`.

    Returns:
        (sounds, scene_embedding_size), float32, on the device of `audio`. Sounds longer than a clip are cut
        into clips, whose vectors are averaged.

    Raises:
        DataError: If the audio has another shape or is not finite.
    """
    _check(audio)
    vectors = model.embedder.embed(
        audio.detach().cpu(), model.sample_rate, channels="none", batch=SOUNDS_AT_ONCE
    )
    return torch.from_numpy(vectors).to(audio.device)


@torch.inference_mode()
def get_timestamp_embeddings(audio: Tensor, model: HearModel) -> tuple[Tensor, Tensor]:
    """Return a vector for each column of patches (160 ms with the default settings).

    Args:
        audio: (sounds, samples), mono, in [-1, 1], at `model.sample_rate`.
        model: From `load_model`.

    Returns:
        Embeddings, (sounds, times, timestamp_embedding_size), float32, and the middle of each column in
        milliseconds, (sounds, times), both on the device of `audio`. Silence fills up the last column.

    Raises:
        DataError: If the audio has another shape or is not finite.
    """
    _check(audio)
    embedder, config = model.embedder, model.embedder.config
    column_samples = config.patch_frames * embedder.mel.hop_samples
    columns = -(-audio.shape[1] // column_samples)
    model.log_mel.to(audio.device)
    rows = []
    for sounds in torch.split(audio, SOUNDS_AT_ONCE):
        padded = nn.functional.pad(sounds, (0, columns * column_samples - audio.shape[1]))
        mels = model.log_mel(padded)[:, : columns * config.patch_frames]
        parts = []
        for clip in torch.split(mels, config.clip_frames, dim=1):
            normal = normalise_clips(clip.to(embedder.device), embedder.std)
            tokens = embedder.autoencoder.encode(normal, layer=embedder.layer)
            parts.append(tokens.flatten(2).float().to(audio.device))
        rows.append(torch.cat(parts, dim=1))
    middles = (torch.arange(columns, device=audio.device) + 0.5) * column_samples / model.sample_rate * 1000
    return torch.cat(rows).clone(), middles.repeat(len(audio), 1)


def _check(audio: Tensor) -> None:
    if audio.ndim != 2 or 0 in audio.shape:
        raise DataError(f"audio has shape {tuple(audio.shape)}; give (sounds, samples), one or more of each.")
    if not bool(torch.isfinite(audio).all()):
        raise DataError("audio holds samples that are not finite (NaN or infinite); clean it first.")
