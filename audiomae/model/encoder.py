"""The encoder: it sees only the patches that are left."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from audiomae.model.config import ModelSettings
from audiomae.model.positions import grid_positions
from audiomae.model.transformer import Block

__all__ = ["Encoder", "take_tokens"]


def take_tokens(
    tokens: Float[Tensor, "clips tokens values"], places: Int[Tensor, "clips taken"]
) -> Float[Tensor, "clips taken values"]:
    """Take some tokens of each clip, by their place."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


class Encoder(nn.Module):
    """Patches → tokens.

    Args:
        config: Sizes.

    Shape:
        (clips, tokens, patch_values), their places (clips, tokens) → (clips, tokens, width)
    """

    positions: Tensor

    def __init__(self, config: ModelSettings) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.patch_values, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        grid = grid_positions(config.columns, config.rows, config.width)
        self.register_buffer("positions", grid.flatten(0, 1), persistent=False)

    def forward(
        self, patches: Float[Tensor, "clips tokens values"], places: Int[Tensor, "clips tokens"]
    ) -> Float[Tensor, "clips tokens width"]:
        """Encode some patches of each clip; `places` counts them time-major (column x rows + row)."""
        tokens = self.embed(patches) + self.positions[places]
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)  # type: ignore[no-any-return]

    def encode(
        self, patches: Float[Tensor, "clips columns rows values"], *, layer: int
    ) -> Float[Tensor, "clips columns rows width"]:
        """Encode whole clips up to a block.

        Args:
            patches: All patches; clips may have fewer columns than the model's.
            layer: Last block to run, 1 for the first; its tokens pass the encoder's final norm.
        """
        clips, columns, rows, _ = patches.shape
        tokens = self.embed(patches.flatten(1, 2)) + self.positions[: columns * rows]
        for number in range(layer):
            tokens = self.blocks[number](tokens)
        return self.norm(tokens).reshape(clips, columns, rows, -1)  # type: ignore[no-any-return]
