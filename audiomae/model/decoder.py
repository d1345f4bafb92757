"""The decoder: it fills in what the encoder did not see."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from audiomae.model.config import ModelSettings
from audiomae.model.positions import grid_positions
from audiomae.model.transformer import Block

__all__ = ["Decoder"]


class Decoder(nn.Module):
    """Visible tokens and mask tokens in their places → patches at the masked places.

    Args:
        config: Sizes.
    """

    positions: Tensor

    def __init__(self, config: ModelSettings) -> None:
        super().__init__()
        width = config.decoder_width
        self.embed = nn.Linear(config.width, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(Block(width, config.decoder_heads) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.predict = nn.Linear(width, config.patch_values)
        grid = grid_positions(config.columns, config.rows, width)
        self.register_buffer("positions", grid.flatten(0, 1), persistent=False)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self,
        tokens: Float[Tensor, "clips seen width"],
        seen: Int[Tensor, "clips seen"],
        hidden: Int[Tensor, "clips hidden"],
    ) -> Float[Tensor, "clips hidden values"]:
        """Rebuild the masked patches.

        Args:
            tokens: The encoder's tokens.
            seen: Their places.
            hidden: Places to rebuild; every one beside them that nobody names is left out of the attention.
        """
        known = self.embed(tokens) + self.positions[seen]
        asked = self.mask_token + self.positions[hidden]
        both = torch.cat([known, asked.to(known.dtype)], dim=1)
        for block in self.blocks:
            both = block(both)
        return self.predict(self.norm(both[:, tokens.shape[1] :]))  # type: ignore[no-any-return]
