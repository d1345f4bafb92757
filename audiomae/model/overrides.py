"""A model's sizes from a named size and what is set beside it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from audiomae.model.config import ModelSettings, model_of_size

__all__ = ["ModelOverrides", "SizeName", "sizes_of"]

SizeName = Literal["tiny", "small", "base", "large"]


@dataclass(frozen=True)
class ModelOverrides:
    """Sizes of a masked autoencoder that are not those of the named size.

    Attributes:
        width: Width of the encoder, in channels.
        depth: Blocks of the encoder.
        heads: Attention heads of the encoder; must divide the width.
        decoder_width: Width of the decoder, in channels.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder; must divide its width.
        patch_frames: Length of a patch along time, in frames (16).
        patch_mels: Height of a patch, in mel bands (16).
        clip_frames: Length of a clip, in frames (496).
        mels: Mel bands of a clip (those of the corpus).
        decoded: Share of the masked patches that one pass of the decoder rebuilds, in (0, 1] (0.4).
        projection: Length of the unit vector that the clip-level term compares (128 where the term has a weight).
    """

    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    decoder_width: int | None = None
    decoder_depth: int | None = None
    decoder_heads: int | None = None
    patch_frames: int | None = None
    patch_mels: int | None = None
    clip_frames: int | None = None
    mels: int | None = None
    decoded: float | None = None
    projection: int | None = None


def sizes_of(
    size: SizeName | None, overrides: ModelOverrides | ModelSettings, *, mels: int | None = None
) -> ModelSettings:
    """Return the sizes of a named model, with some of them changed.

    Args:
        size: Named size; None is tiny.
        overrides: What is changed.
        mels: Mel bands where `overrides` names none.

    Raises:
        ConfigError: If the sizes do not fit together.

    Example:
        >>> sizes_of("small", ModelOverrides(depth=3)).width, sizes_of("small", ModelOverrides(depth=3)).depth
        (384, 3)
    """
    given = dataclasses.asdict(overrides)
    if size is not None and given == dataclasses.asdict(ModelSettings()):
        given = {}  # run configs once held every default beside the named size that was meant
    changes = {name: value for name, value in given.items() if value is not None}
    if mels is not None:
        changes.setdefault("mels", mels)
    return model_of_size(size or "tiny", **changes)
