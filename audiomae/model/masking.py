"""Which patches the encoder will not see.

Every clip of a batch loses the same number of patches, so the visible ones still stack.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Generator, Tensor

__all__ = ["MaskKind", "count_masked", "draw_mask"]

MaskKind = Literal["spans", "one_span", "patches"]


def count_masked(kind: MaskKind, columns: int, rows: int, ratio: float) -> int:
    """Return how many patches of a clip a mask of the named kind takes away.

    Raises:
        ValueError: If nothing would be left visible, or nothing to rebuild.
    """
    if kind == "patches":
        return _share_of(columns * rows, ratio, "patches")
    return _share_of(columns, ratio, "columns") * rows


def _share_of(total: int, ratio: float, what: str) -> int:
    count = round(total * ratio)
    if not 0 < count < total:
        fewest, most = 0.5 / total, 1 - 0.5 / total
        raise ValueError(
            f"ratio {ratio} masks {count} of {total} {what}; at least one must be masked and one visible. "
            f"Use a ratio between {fewest:.3f} and {most:.3f}."
        )
    return count


def mask_spans(
    clips: int, columns: int, *, ratio: float, longest: int, generator: Generator | None = None
) -> Bool[Tensor, "clips columns"]:
    """Draw the patch columns of each clip that the encoder will not see, as spans of time.

    The clip is cut into chunks of 1 to `longest` columns; whole chunks are masked in a random order, the last
    one only as far as the share is exact. Neighbouring chunks can join into a longer span.

    Args:
        clips: Clips in the batch.
        columns: Patch columns in a clip, along time; 31 with the default sizes.
        ratio: Share of columns to mask, in (0, 1).
        longest: Longest span, in columns; lengths are drawn from 1 to this.
        generator: Source of randomness, for repeatable draws.

    Returns:
        True where a column is masked; exactly `round(columns * ratio)` a clip.

    Raises:
        ValueError: If nothing would be left visible, or nothing to rebuild.

    Source: He et al. 2022 (arXiv:2111.06377), applied along time only.
    """
    count = _share_of(columns, ratio, "columns")
    if not 1 <= longest <= columns:
        raise ValueError(f"longest span {longest} is outside 1 to {columns} columns.")
    # Each column belongs to a chunk of random length; whole chunks are masked in a random order.
    lengths = torch.randint(1, longest + 1, (clips, columns), generator=generator)
    starts = lengths.cumsum(dim=1)
    offset = torch.randint(0, longest, (clips, 1), generator=generator)
    places = torch.arange(columns).expand(clips, columns) + offset
    chunk = torch.searchsorted(starts, places.contiguous(), right=True).clamp_max(columns - 1)
    order = torch.rand(clips, columns, generator=generator).gather(1, chunk)
    # A stable sort keeps a chunk's columns in time order, so the one chunk that is cut stays one span.
    rank = order.argsort(dim=1, stable=True)
    masked = torch.zeros(clips, columns, dtype=torch.bool)
    return masked.scatter_(1, rank[:, :count], True)


def mask_one_span(
    clips: int, columns: int, *, ratio: float, generator: Generator | None = None
) -> Bool[Tensor, "clips columns"]:
    """Draw one span a clip: a single masked second out of five at ratio 0.2.

    Returns:
        True where a column is masked; `round(columns * ratio)` neighbours a clip, anywhere.

    Raises:
        ValueError: If nothing would be left visible, or nothing to rebuild.
    """
    count = _share_of(columns, ratio, "columns")
    first = torch.randint(0, columns - count + 1, (clips, 1), generator=generator)
    places = torch.arange(columns)
    return (places >= first) & (places < first + count)


def mask_patches(
    clips: int, columns: int, rows: int, *, ratio: float, generator: Generator | None = None
) -> Bool[Tensor, "clips columns rows"]:
    """Draw single patches anywhere in time and frequency (unstructured).

    Returns:
        True where a patch is masked; exactly `round(columns * rows * ratio)` a clip.

    Raises:
        ValueError: If nothing would be left visible, or nothing to rebuild.

    Source: Huang et al. 2022, "Masked Autoencoders that Listen" (arXiv:2207.06405).
    """
    count = _share_of(columns * rows, ratio, "patches")
    rank = torch.rand(clips, columns * rows, generator=generator).argsort(dim=1)
    masked = torch.zeros(clips, columns * rows, dtype=torch.bool)
    return masked.scatter_(1, rank[:, :count], True).reshape(clips, columns, rows)


def draw_mask(
    kind: MaskKind,
    clips: int,
    columns: int,
    rows: int,
    *,
    ratio: float,
    longest: int,
    generator: Generator | None = None,
) -> Bool[Tensor, "clips columns rows"]:
    """Draw a mask of the named kind over the whole patch grid."""
    if kind == "patches":
        return mask_patches(clips, columns, rows, ratio=ratio, generator=generator)
    if kind == "one_span":
        whole = mask_one_span(clips, columns, ratio=ratio, generator=generator)
    else:
        limit = math.floor(columns / 2)
        whole = mask_spans(clips, columns, ratio=ratio, longest=min(longest, limit or 1), generator=generator)
    return whole[:, :, None].expand(clips, columns, rows).contiguous()
