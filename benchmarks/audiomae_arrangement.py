"""The peer of the training benchmarks: the arrangement of AudioMAE around the same encoder.

Its decoder runs over all positions (visible tokens put back in their places, mask tokens between them) and predicts
every patch; attention is written out, in encoder and decoder, as softmax(QK^T)V with the matrix of weights in memory.

Source: Huang et al. 2022, "Masked Autoencoders that Listen" (arXiv:2207.06405), and the code published with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiomae.model.autoencoder import Autoencoder, Rebuilt, normalise_patches
from audiomae.model.config import ModelSettings
from audiomae.model.encoder import Encoder, take_tokens
from audiomae.model.patches import cut_patches
from audiomae.model.positions import grid_positions
from audiomae.model.transformer import Attention, Block, init_weights

__all__ = ["Arm", "AudioMaeArrangement", "WrittenOutAttention", "write_out_attention"]


class WrittenOutAttention(Attention):
    """The same attention, step by step."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix every token with every other of its clip."""
        clips, count, width = tokens.shape
        size = width // self.heads
        qkv = self.qkv(tokens).reshape(clips, count, 3, self.heads, size)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1)) * size**-0.5
        mixed = weights.softmax(dim=-1) @ value
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(clips, count, width))
        return out


def write_out_attention(module: nn.Module) -> None:
    """Replace the fused attention of every block, in place."""
    for block in module.modules():
        if isinstance(block, Block):
            fused = block.attention
            plain = WrittenOutAttention(fused.qkv.in_features, fused.heads)
            plain.load_state_dict(fused.state_dict())
            block.attention = plain


class AudioMaeArrangement(nn.Module):
    """A stand-in for `Autoencoder` with AudioMAE's decoder.

    Args:
        config: Sizes; those of the decoder are not used.
        decoder_depth: Blocks of the decoder; AudioMAE has 16 with shifted windows, or 8.
        decoder_width: Its width.
        decoder_heads: Its attention heads.
    """

    positions: Tensor

    def __init__(
        self,
        config: ModelSettings,
        *,
        decoder_depth: int = 8,
        decoder_width: int = 512,
        decoder_heads: int = 16,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.embed = nn.Linear(config.width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(decoder_width))
        self.blocks = nn.ModuleList(Block(decoder_width, decoder_heads) for _ in range(decoder_depth))
        self.norm = nn.LayerNorm(decoder_width, eps=1e-6)
        self.predict = nn.Linear(decoder_width, config.patch_values)
        grid = grid_positions(config.columns, config.rows, decoder_width)
        self.register_buffer("positions", grid.flatten(0, 1), persistent=False)
        nn.init.normal_(self.mask_token, std=0.02)
        self.apply(init_weights)
        write_out_attention(self)

    def patches_of(self, clips: Tensor) -> Tensor:
        """Cut clips into patches, as `Autoencoder.patches_of` does."""
        return cut_patches(clips, self.config.patch_frames, self.config.patch_mels)

    def forward(self, clips: Tensor, seen: Tensor, hidden: Tensor) -> Rebuilt:
        """Hide, encode, put back in place, decode all, compare what was hidden."""
        patches = self.patches_of(clips).flatten(1, 2)
        tokens = self.encoder(take_tokens(patches, seen), seen)
        known = self.embed(tokens)
        masks = self.mask_token.expand(len(clips), hidden.shape[1], -1).to(known.dtype)
        restore = torch.cat([seen, hidden], dim=1).argsort(dim=1)
        every = take_tokens(torch.cat([known, masks], dim=1), restore) + self.positions
        for block in self.blocks:
            every = block(every)
        rebuilt = self.predict(self.norm(every)).float()
        error = (rebuilt - normalise_patches(patches)).square().mean(dim=-1)
        missing = torch.zeros_like(error).scatter(1, hidden, 1.0)
        loss = (error * missing).sum() / missing.sum()
        return Rebuilt(loss, tokens, take_tokens(rebuilt, hidden), None)


Arm = Autoencoder | AudioMaeArrangement
