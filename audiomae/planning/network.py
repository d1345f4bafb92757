"""The masked autoencoder of a config as the pieces that `audiomae plan` counts."""

from __future__ import annotations

import torch
from torch import nn

from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.planning.memory import Arithmetic, Network, Piece, block_piece
from audiomae.training.settings import OptimizerName

__all__ = ["network_of", "tokens_of"]


def tokens_of(sizes: ModelSettings, ratio: float) -> tuple[int, int]:
    """Return how many patches of a clip the encoder sees, and how many a pass rebuilds."""
    hidden = round(sizes.columns * ratio) * sizes.rows
    return sizes.columns * sizes.rows - hidden, max(1, round(hidden * sizes.decoded))


def network_of(
    sizes: ModelSettings, ratio: float, arithmetic: Arithmetic, optimizer: OptimizerName = "adamw"
) -> Network:
    """Return the pieces: encoder over what is visible, decoder over that and the share it rebuilds, clip-level head.

    Args:
        sizes: Sizes of the model.
        ratio: Share of the patches that is blanked.
        arithmetic: Bytes of values.
        optimizer: Who moves the matrices of the blocks.
    """
    with torch.device("meta"):
        module = Autoencoder(sizes)
    seen, asked = tokens_of(sizes, ratio)
    both, compute = seen + asked, arithmetic.compute
    wide, narrow, values = sizes.width, sizes.decoder_width, sizes.patch_values
    half = compute < arithmetic.weight

    def piece(name: str, parts: list[nn.Module], saved: int, working: int, *, extra: int = 0) -> Piece:
        return Piece(name, _count(*parts) + extra, _matrices(*parts) if half else 0, saved, working)

    def block(name: str, part: nn.Module, width: int, heads: int, tokens: int) -> Piece:
        return block_piece(
            name,
            width=width,
            heads=heads,
            tokens=tokens,
            arithmetic=arithmetic,
            parameters=_count(part),
            matrices=_matrices(part),
            turned=_matrices(part) if optimizer == "muon" else 0,
        )

    encoder, decoder = module.encoder, module.decoder
    # The first layer's input needs no gradient, so autocast's copy of its weights is not kept.
    pieces = [Piece("encoder.embed", _count(encoder.embed), 0, seen * values * compute, seen * wide * 4)]
    pieces += [
        block(f"encoder.blocks.{place}", part, wide, sizes.heads, seen)
        for place, part in enumerate(encoder.blocks)
    ]
    head = module.clip_head
    # Its tokens are kept once in float32, or in 16 bits by each of its two readers.
    kept = seen * wide * (4 if not half else 2 * (1 + (head is not None)))
    pieces.append(piece("encoder.norm", [encoder.norm], seen * (wide * 4 + 8) + kept, seen * wide * 8))
    pieces.append(piece("decoder.embed", [decoder.embed], 0, both * narrow * 4, extra=narrow))
    pieces += [
        block(f"decoder.blocks.{place}", part, narrow, sizes.decoder_heads, both)
        for place, part in enumerate(decoder.blocks)
    ]
    out = both * narrow * 4 + asked * (narrow * compute + 8 + 2 * values * 4)
    pieces.append(piece("decoder.predict", [decoder.norm, decoder.predict], out, asked * values * 8))
    if head is not None:
        pooled, inside = sizes.rows * wide, 256
        small = seen * sizes.rows * compute + 2 * pooled * compute + 2 * inside * compute
        small += sizes.projection * 8 + 16
        pieces.append(piece("clip_head", [head], small, pooled * 8 + seen * wide * 4))
    frames = sizes.clip_frames * sizes.mels
    # float16 log-mels, places and the track as int64; the forward pass holds the log-mels normalised, and cut.
    return Network(tuple(pieces), inputs=frames * 2 + (both + 1) * 8, unfolded=2 * frames * 4)


def _count(*parts: nn.Module) -> int:
    return sum(value.numel() for part in parts for value in part.parameters())


def _matrices(*parts: nn.Module) -> int:
    return sum(value.numel() for part in parts for value in part.parameters() if value.ndim == 2)
