"""Clips cut into patches, and joined again."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

__all__ = ["cut_patches", "join_patches"]


def cut_patches(
    clips: Float[Tensor, "clips frames mels"], patch_frames: int, patch_mels: int
) -> Float[Tensor, "clips columns rows values"]:
    """Cut log-mel clips into patches; what does not fill a last column is left out.

    Args:
        clips: Log-mels, time first.
        patch_frames: Length of a patch along time, in frames.
        patch_mels: Height of a patch, in mel bands.

    Returns:
        One vector a patch; its values run through time, then frequency.

    Raises:
        ValueError: If a clip is shorter than one patch, or the mel bands do not split evenly.
    """
    count, frames, mels = clips.shape
    columns, rows = frames // patch_frames, mels // patch_mels
    if columns == 0 or mels % patch_mels:
        raise ValueError(
            f"a clip of {frames} frames and {mels} mels cannot be cut into patches of "
            f"{patch_frames} x {patch_mels}; it needs a whole column and evenly split mels."
        )
    grid = clips[:, : columns * patch_frames].reshape(count, columns, patch_frames, rows, patch_mels)
    return grid.transpose(2, 3).reshape(count, columns, rows, patch_frames * patch_mels)


def join_patches(
    patches: Float[Tensor, "clips columns rows values"], patch_frames: int, patch_mels: int
) -> Float[Tensor, "clips frames mels"]:
    """Put patches back together; the inverse of `cut_patches`."""
    count, columns, rows, _ = patches.shape
    grid = patches.reshape(count, columns, rows, patch_frames, patch_mels).transpose(2, 3)
    return grid.reshape(count, columns * patch_frames, rows * patch_mels)
