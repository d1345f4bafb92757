"""The masked autoencoder: mask patches, encode the rest, rebuild the masked ones."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from audiomae.model.clip_head import ClipHead
from audiomae.model.config import ModelSettings
from audiomae.model.decoder import Decoder
from audiomae.model.encoder import Encoder, take_tokens
from audiomae.model.patches import cut_patches, join_patches
from audiomae.model.transformer import init_weights

__all__ = ["Autoencoder", "Rebuilt", "normalise_patches", "split_places"]

TARGET_VARIANCE_FLOOR = 1e-2
"""Added to a patch's variance before it is normalised, so that a nearly constant patch (silence) stays quiet."""


class Rebuilt(NamedTuple):
    """What one pass gives."""

    loss: Float[Tensor, ""]
    """Mean squared error over the masked patches, in units of each patch's own variance."""
    tokens: Float[Tensor, "clips seen width"]
    """The encoder's tokens of the visible patches."""
    patches: Float[Tensor, "clips hidden values"]
    """The prediction, per-patch normalised."""
    projected: Float[Tensor, "clips projection"] | None
    """Unit vectors for the clip-level term, where the model has its head."""


def split_places(
    masked: Bool[Tensor, "clips columns rows"],
) -> tuple[Int[Tensor, "clips seen"], Int[Tensor, "clips hidden"]]:
    """Turn a mask into the places of the visible and of the masked patches, each in rising order.

    Raises:
        ValueError: If the clips do not all lose the same number of patches.
    """
    flat = masked.flatten(1)
    counts = flat.sum(dim=1)
    if bool((counts != counts[0]).any()):
        raise ValueError(
            f"clips lose between {int(counts.min())} and {int(counts.max())} patches; they must lose equally many."
        )
    order = flat.int().argsort(dim=1, stable=True)
    seen = flat.shape[1] - int(counts[0])
    return order[:, :seen], order[:, seen:]


def normalise_patches(
    patches: Float[Tensor, "clips *places values"],
) -> Float[Tensor, "clips *places values"]:
    """Shift and scale each patch to mean 0 and (nearly) variance 1, in float32."""
    patches = patches.float()
    mean = patches.mean(dim=-1, keepdim=True)
    variance = patches.var(dim=-1, keepdim=True, unbiased=False)
    return (patches - mean) / (variance + TARGET_VARIANCE_FLOOR).sqrt()


class Autoencoder(nn.Module):
    """A masked autoencoder over normalised log-mel clips.

    Args:
        config: Sizes.

    Source: He et al. 2022 (arXiv:2111.06377); Huang et al. 2022 (arXiv:2207.06405).
    """

    def __init__(self, config: ModelSettings) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.clip_head = ClipHead(config) if config.projection else None
        self.apply(init_weights)

    @property
    def blocks(self) -> list[nn.Module]:
        """Transformer blocks, the encoder's before the decoder's."""
        return [*self.encoder.blocks, *self.decoder.blocks]

    def patches_of(
        self, clips: Float[Tensor, "clips frames mels"]
    ) -> Float[Tensor, "clips columns rows values"]:
        """Cut clips into this model's patches."""
        return cut_patches(clips, self.config.patch_frames, self.config.patch_mels)

    def forward(
        self,
        clips: Float[Tensor, "clips frames mels"],
        seen: Int[Tensor, "clips seen"],
        hidden: Int[Tensor, "clips hidden"],
    ) -> Rebuilt:
        """Mask, encode, rebuild, compare.

        Args:
            clips: Normalised log-mels (see `audiomae.model.level.normalise_clips`).
            seen: Places of the visible patches, from `split_places`.
            hidden: Places of the patches to rebuild.
        """
        patches = self.patches_of(clips).flatten(1, 2)
        tokens = self.encoder(take_tokens(patches, seen), seen)
        rebuilt = self.decoder(tokens, seen, hidden)
        target = normalise_patches(take_tokens(patches, hidden))
        projected = self.clip_head(tokens, seen) if self.clip_head is not None else None
        return Rebuilt(functional.mse_loss(rebuilt.float(), target), tokens, rebuilt, projected)

    @torch.no_grad()
    def rebuild(
        self, clips: Float[Tensor, "clips frames mels"], masked: Bool[Tensor, "clips columns rows"]
    ) -> Float[Tensor, "clips frames mels"]:
        """Return the clips with their masked patches replaced by the prediction.

        The model predicts the shape of a patch, not its level or spread; those two numbers are taken from the
        true patch. Patches are rebuilt in as many passes as the share decoded at a time makes of them.
        """
        seen, hidden = (places.to(clips.device) for places in split_places(masked.cpu()))
        grid = self.patches_of(clips)
        patches = grid.flatten(1, 2).float()
        passes = math.ceil(1 / self.config.decoded)
        for number in range(passes):
            asked = hidden[:, number::passes]
            truth = take_tokens(patches, asked)
            spread = (truth.var(dim=-1, keepdim=True, unbiased=False) + TARGET_VARIANCE_FLOOR).sqrt()
            shape = self(clips, seen, asked).patches.float()
            predicted = shape * spread + truth.mean(dim=-1, keepdim=True)
            patches = patches.scatter(1, asked[:, :, None].expand_as(predicted), predicted)
        return join_patches(patches.reshape(grid.shape), self.config.patch_frames, self.config.patch_mels)

    def encode(
        self, clips: Float[Tensor, "clips frames mels"], *, layer: int
    ) -> Float[Tensor, "clips columns rows width"]:
        """Encode whole clips, nothing masked, up to a block (1 for the first), under the encoder's last norm."""
        return self.encoder.encode(self.patches_of(clips), layer=layer)
