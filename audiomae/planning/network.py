"""The masked autoencoder of a config as the pieces that `audiomae plan` counts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from audiomae.errors import ConfigError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.masking import MaskKind, count_masked
from audiomae.planning.memory import Arithmetic, Network, Piece, block_piece
from audiomae.training.settings import OptimizerName

__all__ = ["network_of"]


class Tokens(NamedTuple):
    """Patches of a clip that a pass of the network handles."""

    seen: int
    """Visible to the encoder."""
    asked: int
    """Masked, and rebuilt by one pass of the decoder."""


def tokens_of(sizes: ModelSettings, mask: MaskKind, ratio: float) -> Tokens:
    """Return how many patches of a clip are visible, and how many a pass rebuilds, as training draws them.

    Raises:
        ConfigError: If the mask leaves nothing visible, or nothing to rebuild.
    """
    try:
        masked = count_masked(mask, sizes.columns, sizes.rows, ratio)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Tokens(sizes.columns * sizes.rows - masked, max(1, round(masked * sizes.decoded)))


def network_of(
    sizes: ModelSettings,
    mask: MaskKind,
    ratio: float,
    arithmetic: Arithmetic,
    optimizer: OptimizerName = "adamw",
) -> Network:
    """Return the pieces: encoder over what is visible, decoder over that and the share it rebuilds, clip-level head.

    Args:
        sizes: Sizes of the model.
        mask: What the encoder does not see.
        ratio: Share of the patches that is masked.
        arithmetic: Bytes of values.
        optimizer: Who moves the matrices of the blocks.
    """
    with torch.device("meta"):
        module = Autoencoder(sizes)
    count = _Counter(sizes, tokens_of(sizes, mask, ratio), arithmetic, optimizer)
    pieces = [*count.encoder(module), *count.decoder(module)]
    if module.clip_head is not None:
        pieces.append(count.head(module.clip_head))
    frames, tokens = sizes.clip_frames * sizes.mels, sum(count.tokens)
    # float16 log-mels, places and the track as int64; the forward pass holds the log-mels normalised, and cut.
    return Network(tuple(pieces), inputs=frames * 2 + (tokens + 1) * 8, unfolded=2 * frames * 4)


class _Counter:
    """Counts the bytes of a network's pieces for each clip."""

    def __init__(
        self, sizes: ModelSettings, tokens: Tokens, arithmetic: Arithmetic, optimizer: OptimizerName
    ) -> None:
        self.sizes, self.tokens, self.arithmetic, self.optimizer = sizes, tokens, arithmetic, optimizer
        self.half = arithmetic.compute < arithmetic.weight

    def _piece(self, name: str, parts: list[nn.Module], saved: int, working: int, *, extra: int = 0) -> Piece:
        return Piece(name, _count(*parts) + extra, _matrices(*parts) if self.half else 0, saved, working)

    def _block(self, name: str, part: nn.Module, width: int, heads: int, tokens: int) -> Piece:
        return block_piece(
            name,
            width=width,
            heads=heads,
            tokens=tokens,
            arithmetic=self.arithmetic,
            parameters=_count(part),
            matrices=_matrices(part),
            turned=_matrices(part) if self.optimizer == "muon" else 0,
        )

    def encoder(self, module: Autoencoder) -> list[Piece]:
        """Return the pieces of the encoder, over the visible tokens."""
        seen, wide, compute = self.tokens.seen, self.sizes.width, self.arithmetic.compute
        encoder, values = module.encoder, self.sizes.patch_values
        # The first layer's input needs no gradient, so autocast's copy of its weights is not kept.
        pieces = [Piece("encoder.embed", _count(encoder.embed), 0, seen * values * compute, seen * wide * 4)]
        pieces += [
            self._block(f"encoder.blocks.{place}", part, wide, self.sizes.heads, seen)
            for place, part in enumerate(encoder.blocks)
        ]
        # Its tokens are kept once in float32, or in 16 bits by each of its two readers.
        kept = seen * wide * (4 if not self.half else 2 * (1 + (module.clip_head is not None)))
        saved = seen * (wide * 4 + 8) + kept
        return [*pieces, self._piece("encoder.norm", [encoder.norm], saved, seen * wide * 8)]

    def decoder(self, module: Autoencoder) -> list[Piece]:
        """Return the pieces of the decoder, over the visible tokens and those it rebuilds."""
        both, asked, narrow = sum(self.tokens), self.tokens.asked, self.sizes.decoder_width
        decoder, values = module.decoder, self.sizes.patch_values
        pieces = [self._piece("decoder.embed", [decoder.embed], 0, both * narrow * 4, extra=narrow)]
        pieces += [
            self._block(f"decoder.blocks.{place}", part, narrow, self.sizes.decoder_heads, both)
            for place, part in enumerate(decoder.blocks)
        ]
        out = both * narrow * 4 + asked * (narrow * self.arithmetic.compute + 8 + 2 * values * 4)
        predict = [decoder.norm, decoder.predict]
        return [*pieces, self._piece("decoder.predict", predict, out, asked * values * 8)]

    def head(self, head: nn.Module) -> Piece:
        """Return the clip-level head."""
        seen, compute = self.tokens.seen, self.arithmetic.compute
        pooled, inside = self.sizes.rows * self.sizes.width, 256
        small = seen * self.sizes.rows * compute + 2 * pooled * compute + 2 * inside * compute
        small += self.sizes.projection * 8 + 16
        return self._piece("clip_head", [head], small, pooled * 8 + seen * self.sizes.width * 4)


def _count(*parts: nn.Module) -> int:
    return sum(value.numel() for part in parts for value in part.parameters())


def _matrices(*parts: nn.Module) -> int:
    return sum(value.numel() for part in parts for value in part.parameters() if value.ndim == 2)
