"""The sizes of a masked autoencoder, and the named ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audiomae.checks import require
from audiomae.errors import ConfigError

__all__ = ["SIZES", "ModelSettings", "model_of_size"]

LARGEST = {
    "width": 16_384,
    "depth": 256,
    "heads": 1_024,
    "decoder_width": 16_384,
    "decoder_depth": 256,
    "decoder_heads": 1_024,
    "patch_frames": 4_096,
    "patch_mels": 1_024,
    "clip_frames": 65_536,
    "mels": 1_024,
    "projection": 16_384,
}
"""Sizes at most, so that a damaged or hostile file cannot ask for all memory; several times what anybody trains."""


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of a masked autoencoder over log-mel clips.

    Attributes:
        width: Width of the encoder, in channels.
        depth: Blocks of the encoder.
        heads: Attention heads of the encoder; must divide the width.
        decoder_width: Width of the decoder, in channels.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder; must divide its width.
        patch_frames: Length of a patch along time, in frames.
        patch_mels: Height of a patch, in mel bands.
        clip_frames: Length of a clip, in frames: whole patches; 496 are 31 patches of 16, 4.96 s at 10 ms.
        mels: Mel bands of a clip.
        decoded: Share of the masked patches that one pass of the decoder rebuilds, in (0, 1]; the others are
            left out of its attention, which makes a step cheaper.
        projection: Length of the unit vector that the clip-level term compares; 0 leaves its head out.
    """

    width: int = 192
    depth: int = 6
    heads: int = 3
    decoder_width: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4
    patch_frames: int = 16
    patch_mels: int = 16
    clip_frames: int = 496
    mels: int = 80
    decoded: float = 0.4
    projection: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        require("model.decoded", self.decoded, above=0, most=1)
        for name, most in LARGEST.items():
            least = 0 if name == "projection" else 1
            require(f"model.{name}", getattr(self, name), least=least, most=most)
        for size, heads, name in (
            (self.width, self.heads, "heads"),
            (self.decoder_width, self.decoder_heads, "decoder_heads"),
        ):
            if size % heads:
                raise ConfigError(f"model.{name} {heads} does not divide the width {size}. Use a divisor.")
            if size % 4:
                raise ConfigError(f"width {size} is not a multiple of 4, which sine positions need.")
        for size, patch, name in (
            (self.clip_frames, self.patch_frames, "patch_frames"),
            (self.mels, self.patch_mels, "patch_mels"),
        ):
            if size % patch:
                raise ConfigError(f"model.{name} {patch} does not divide {size}. Use a divisor.")

        require("patches of a clip", self.columns * self.rows, least=1, most=65_536)
        require("values of a patch", self.patch_values, least=1, most=65_536)

    @property
    def columns(self) -> int:
        """Patches of a clip along time."""
        return self.clip_frames // self.patch_frames

    @property
    def rows(self) -> int:
        """Patches of a clip along frequency."""
        return self.mels // self.patch_mels

    @property
    def patch_values(self) -> int:
        """Log-mel values in one patch."""
        return self.patch_frames * self.patch_mels


SIZES: dict[str, dict[str, int]] = {
    "tiny": {
        "width": 192,
        "depth": 6,
        "heads": 3,
        "decoder_width": 128,
        "decoder_depth": 2,
        "decoder_heads": 4,
    },
    "small": {
        "width": 384,
        "depth": 12,
        "heads": 6,
        "decoder_width": 256,
        "decoder_depth": 4,
        "decoder_heads": 8,
    },
    "base": {
        "width": 768,
        "depth": 12,
        "heads": 12,
        "decoder_width": 384,
        "decoder_depth": 6,
        "decoder_heads": 12,
    },
    "large": {
        "width": 1024,
        "depth": 24,
        "heads": 16,
        "decoder_width": 512,
        "decoder_depth": 8,
        "decoder_heads": 16,
    },
}


def model_of_size(name: str, **changes: Any) -> ModelSettings:
    """Return the config of a named size, with some entries changed.

    Raises:
        ConfigError: If there is no such size.

    Example:
        >>> model_of_size("small").width
        384
    """
    if name not in SIZES:
        raise ConfigError(f"model size {name!r} is not one of {', '.join(SIZES)}.")
    return ModelSettings(**{**SIZES[name], **changes})
