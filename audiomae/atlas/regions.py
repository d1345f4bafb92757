"""Regions of a map: songs that sound alike, named by the tags that set them apart from the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["find_regions", "name_regions"]

MOST_REGIONS = 24
FEWEST_TRACKS = 6
"""Tracks below which a collection is one region."""
FIT_ROWS = 20_000
"""Tracks that decide where the centres lie, at most."""
ROUNDS = 25
NAMING = ("genre", "artist", "album")
"""Tags that regions are named by."""


def find_regions(reduced: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.uint16]:
    """Return the region of each track, (tracks,), numbered from the largest.

    Args:
        reduced: Directions on principal axes, (tracks, axes).
        seed: Key of the draws.

    Source: Lloyd 1982, k-means, begun with centres far apart (Arthur and Vassilvitskii 2007); of more than 20,000
    tracks, 20,000 decide where the centres lie. NumPy alone: a page that waits for scikit-learn to load waits seconds.
    """
    rows = len(reduced)
    if rows < FEWEST_TRACKS or not np.ptp(reduced):
        return np.zeros(rows, np.uint16)
    draws = np.random.default_rng(seed)
    fitted = reduced[np.sort(draws.permutation(rows)[:FIT_ROWS])]
    centres = _far_apart(fitted, min(MOST_REGIONS, max(2, round(rows**0.35))), draws)
    for _ in range(ROUNDS):
        near = _nearest_centre(fitted, centres)
        sizes = np.bincount(near, minlength=len(centres))
        sums = np.stack([np.bincount(near, axis, len(centres)) for axis in fitted.T], axis=1)
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres).astype(np.float32)
        if np.allclose(moved, centres, atol=1e-6):
            break
        centres = moved
    made = _nearest_centre(reduced, centres)
    order = np.argsort(-np.bincount(made, minlength=len(centres)), kind="stable")
    rank = np.empty(len(centres), np.uint16)
    rank[order] = np.arange(len(centres))
    numbered: NDArray[np.uint16] = rank[made]
    return numbered


def _far_apart(rows: NDArray[np.float32], wanted: int, draws: np.random.Generator) -> NDArray[np.float32]:
    """Draw first centres, each with a chance that grows with its squared distance from those before."""
    chosen = [rows[draws.integers(len(rows))]]
    far = np.square(rows - chosen[0]).sum(axis=1, dtype=np.float64)
    while len(chosen) < wanted and far.sum() > 0:
        chosen.append(rows[draws.choice(len(rows), p=far / far.sum())])
        far = np.minimum(far, np.square(rows - chosen[-1]).sum(axis=1, dtype=np.float64))
    return np.stack(chosen)


def _nearest_centre(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    scores = rows @ centres.T - np.square(centres).sum(axis=1) / 2
    nearest: NDArray[np.int64] = scores.argmax(axis=1)
    return nearest


def name_regions(codes: NDArray[np.uint16], tracks: pa.Table) -> tuple[str, ...]:
    """Return a name for each region: its most typical genre, artist or album, two of them where one does not do.

    A tag is typical when it is more frequent in the region than in the rest, weighed by how many of the region's songs
    have it. No two regions have the same name.

    Args:
        codes: Region of each track, (tracks,).
        tracks: Their table.

    Example:
        >>> table = pa.table({"title": list("abcd"), "genre": ["rock", "rock", "folk", "folk"]})
        >>> name_regions(np.array([0, 0, 1, 1], np.uint16), table)
        ('rock', 'folk')
    """
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    if len(sizes) == 1:
        return ("all songs",)
    typical = _typical_tags(codes, sizes, tracks)
    titles = tracks["title"].to_pylist() if "title" in tracks.column_names else []
    names: list[str] = []
    taken: set[str] = set()
    for region in range(len(sizes)):
        name = _name(typical[region], taken)
        if not name and titles:
            first = next((titles[row] for row in np.flatnonzero(codes == region) if titles[row]), "")
            name = f"around {first[:40]}" if first else ""
        if not name or name in taken:
            name = f"{name or 'region'} {region + 1}"
        taken.add(name)
        names.append(name)
    return tuple(names)


def _typical_tags(
    codes: NDArray[np.uint16], sizes: NDArray[np.int64], tracks: pa.Table
) -> list[list[tuple[float, str]]]:
    """Return each region's tags, most typical first, with how typical they are."""
    found: list[list[tuple[float, str]]] = [[] for _ in sizes]
    for column in NAMING:
        if column not in tracks.column_names:
            continue
        values = [str(value or "").strip() for value in tracks[column].to_pylist()]
        overall = Counter(values)
        inside = Counter(zip(codes.tolist(), values, strict=True))
        for (region, value), count in inside.items():
            share, everywhere = count / sizes[region], overall[value] / len(values)
            if not value or share <= everywhere or (count < 2 and sizes[region] > 1):
                continue
            found[region].append((share * math.log(share / everywhere), value[:40]))
    for tags in found:
        tags.sort(key=lambda pair: (-pair[0], pair[1]))
    return found


def _name(typical: Sequence[tuple[float, str]], taken: set[str]) -> str:
    """Return the first of a region's tags that no other region has, alone or with the next."""
    tags = list(dict.fromkeys(tag for _, tag in typical))[:4]
    if not tags:
        return ""
    if tags[0] not in taken:
        return tags[0]
    pairs = [f"{tags[0]} · {other}" for other in tags[1:]]
    return next((pair for pair in pairs if pair not in taken), tags[0])
