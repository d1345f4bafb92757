"""The clip-level term: two clips of one song should be told from the clips of other songs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from audiomae.model.config import ModelSettings

__all__ = ["ClipHead", "pair_loss"]


def pool_visible(
    tokens: Float[Tensor, "clips seen width"], seen: Int[Tensor, "clips seen"], rows: int
) -> Float[Tensor, "clips values"]:
    """Average the visible tokens over time, frequency rows side by side; a row with nothing visible is zero.

    Args:
        tokens: The encoder's tokens.
        seen: Their places, time-major.
        rows: Patches along frequency.
    """
    member = functional.one_hot(seen % rows, rows).to(tokens.dtype)
    share = member / member.sum(dim=1, keepdim=True).clamp_min(1.0)
    return torch.einsum("csr,csw->crw", share, tokens).flatten(1)


class ClipHead(nn.Module):
    """Visible tokens → one unit vector a clip, for the clip-level term alone.

    Shape:
        (clips, seen, width), (clips, seen) → (clips, projection)

    Source: the projection head of Chen et al. 2020, "SimCLR" (arXiv:2002.05709).
    """

    def __init__(self, config: ModelSettings, *, hidden: int = 256) -> None:
        super().__init__()
        self.rows = config.rows
        pooled = config.rows * config.width
        self.layers = nn.Sequential(
            nn.LayerNorm(pooled), nn.Linear(pooled, hidden), nn.GELU(), nn.Linear(hidden, config.projection)
        )

    def forward(
        self, tokens: Float[Tensor, "clips seen width"], seen: Int[Tensor, "clips seen"]
    ) -> Float[Tensor, "clips projection"]:
        """Project clips."""
        projected = self.layers(pool_visible(tokens, seen, self.rows))
        return functional.normalize(projected.float(), dim=-1)


def pair_loss(
    projected: Float[Tensor, "clips projection"], tracks: Int[Tensor, " clips"], temperature: float
) -> Float[Tensor, ""]:
    """Return how badly each clip finds its partner among the clips of the batch.

    Args:
        projected: Unit vectors; clips 0 and 1 are partners, 2 and 3, and so on.
        tracks: The song of each clip; other clips of the same song are neither right nor wrong.
        temperature: Divisor of the cosines, above 0.

    Returns:
        Mean cross-entropy.

    Source: InfoNCE, van den Oord et al. 2018 (arXiv:1807.03748); crops of one track as in Myna (arXiv:2502.12511).
    """
    count = len(projected)
    own = torch.arange(count, device=projected.device)
    partner = own ^ 1
    same = tracks[:, None] == tracks[None, :]
    same[own, partner] = False
    scores = (projected @ projected.T / temperature).masked_fill(same, float("-inf"))
    return functional.cross_entropy(scores, partner)
