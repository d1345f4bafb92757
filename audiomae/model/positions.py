"""Where a patch lies, as sines and cosines of its column and row."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["grid_positions"]


def _line_positions(length: int, width: int) -> Float[Tensor, "length width"]:
    rates = 1.0 / 10000.0 ** (torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def grid_positions(columns: int, rows: int, width: int) -> Float[Tensor, "columns rows width"]:
    """Return the fixed position vector of every patch of a grid.

    Half of the channels tell the column (time), half the row (frequency), so a clip of fewer columns uses
    the first of the same vectors.

    Args:
        columns: Patches along time.
        rows: Patches along frequency.
        width: Channels; a multiple of 4.

    Source: Vaswani et al. 2017 (arXiv:1706.03762), in two dimensions as in He et al. 2022.
    """
    time = _line_positions(columns, width // 2)[:, None].expand(columns, rows, width // 2)
    frequency = _line_positions(rows, width // 2)[None].expand(columns, rows, width // 2)
    return torch.cat([time, frequency], dim=2)
