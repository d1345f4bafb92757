"""From the tokens of a clip to its one vector."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Pool", "pool_tokens", "pooled_size"]

Pool = Literal[
    "mean",
    "freq_concat",
    "mean_std",
    "freq_concat_std",
    "freq_concat_flux",
    "freq_concat_std_flux",
    "freq_concat_max_flux",
]

Statistic = Literal["std", "max", "flux"]

BESIDE_THE_MEAN: dict[Pool, tuple[Statistic, ...]] = {
    "freq_concat": (),
    "freq_concat_std": ("std",),
    "freq_concat_flux": ("flux",),
    "freq_concat_std_flux": ("std", "flux"),
    "freq_concat_max_flux": ("max", "flux"),
}
"""What stands beside the mean over time, each with the frequency rows side by side."""


def pool_tokens(
    tokens: Float[Tensor, "clips columns rows width"], pool: Pool
) -> Float[Tensor, "clips values"]:
    """Pool the tokens of whole clips.

    Args:
        tokens: One layer's tokens, in their grid.
        pool: `mean` over time and frequency; `mean_std`, with the deviation beside it; `freq_concat`, mean over
            time, with the frequency rows side by side; `freq_concat_std`, with the deviations over time beside
            the means; `freq_concat_flux`, with the mean absolute changes from one column to the next (zero for a
            clip of one column); `freq_concat_std_flux`, with both; `freq_concat_max_flux`, with the largest values
            over time and the changes.

    Returns:
        `pooled_size` values a clip, in float32.

    Source: frequency-wise concatenation as in Niizumi et al. 2022 (arXiv:2204.12260).
    """
    tokens = tokens.float()
    if pool == "mean":
        return tokens.mean(dim=(1, 2))
    if pool == "mean_std":
        spread = tokens.var(dim=(1, 2), unbiased=False).clamp_min(1e-8).sqrt()
        return torch.cat([tokens.mean(dim=(1, 2)), spread], dim=1)
    parts = [tokens.mean(dim=1), *(_over_time(tokens, name) for name in BESIDE_THE_MEAN[pool])]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _over_time(
    tokens: Float[Tensor, "clips columns rows width"], name: Statistic
) -> Float[Tensor, "clips rows width"]:
    if name == "std":
        return tokens.var(dim=1, unbiased=False).clamp_min(1e-8).sqrt()
    if name == "max":
        return tokens.amax(dim=1)
    return tokens.diff(dim=1).abs().sum(dim=1) / max(1, tokens.shape[1] - 1)


def pooled_size(width: int, rows: int, pool: Pool) -> int:
    """Return the length of a pooled vector.

    Example:
        >>> pooled_size(192, 5, "freq_concat")
        960
    """
    if pool in BESIDE_THE_MEAN:
        return width * rows * (1 + len(BESIDE_THE_MEAN[pool]))
    return width * (2 if pool == "mean_std" else 1)
