"""Pre-norm transformer blocks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Attention", "Block", "init_weights"]


class Attention(nn.Module):
    """Multi-head self-attention through PyTorch's fused kernel.

    Shape:
        (clips, tokens, width) → (clips, tokens, width)

    Source: Vaswani et al. 2017 (arXiv:1706.03762).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "clips tokens width"]) -> Float[Tensor, "clips tokens width"]:
        """Mix every token with every other of its clip."""
        clips, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(clips, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(clips, count, width)
        return self.out(mixed)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a layer norm and a residual sum.

    Shape:
        (clips, tokens, width) → (clips, tokens, width)

    Source: Dosovitskiy et al. 2021 (arXiv:2010.11929).
    """

    def __init__(self, width: int, heads: int, *, hidden_ratio: int = 4) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden_ratio * width), nn.GELU(), nn.Linear(hidden_ratio * width, width)
        )

    def forward(self, tokens: Float[Tensor, "clips tokens width"]) -> Float[Tensor, "clips tokens width"]:
        """Apply the block."""
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))  # type: ignore[no-any-return]


def init_weights(module: nn.Module) -> None:
    """Give linear layers Xavier-uniform weights and zero biases, as MAE does; use with `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
