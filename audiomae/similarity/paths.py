"""From one song to another in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.errors import ConfigError, DataError
from audiomae.similarity.collection import Collection
from audiomae.similarity.rules import Picker, SongRules
from audiomae.vectors.search import unit_rows
from audiomae.vectors.similar import SimilarSong

__all__ = ["MOST_STEPS", "find_path"]

MOST_STEPS = 200
"""Songs between the two ends, at most."""
POOL = 1_024
"""Songs that a path is made of, at most: those nearest to the even way from one end to the other."""
POWER = 4
"""Steps cost their angle to this power, so that one wide step costs more than several narrow ones."""
STRAY = 0.1
"""What leaving the even way costs, beside 1 for the steps; it keeps the path from waiting near one end."""
ROUNDS = 24
"""Times that a path is looked for again because the rules refused a song; then such are left out."""


def find_path(
    collection: Collection, start: str, end: str, steps: int, *, rules: SongRules | None = None
) -> list[SimilarSong]:
    """Return songs that lead from one to another, both included, none twice.

    Of the songs near to the great circle between the two those are chosen, by dynamic programming, whose steps are
    short and even: the sum of their angles to the power of four is least.

    Args:
        collection: Where the songs are.
        start: First song: its id, end of its path, or title.
        end: Last song.
        steps: Songs between them; fewer are returned where no more fit.
        rules: What the songs between keep to; `k` is not looked at.

    Returns:
        The songs in order. `cosine` and `score` are of each with the one before; 1 for the first.

    Raises:
        DataError: If a song is unknown, or no song fits between.
        ConfigError: If both are the same, or `steps` is out of range.
    """
    rules = rules or SongRules()
    require("steps", steps, least=0, most=MOST_STEPS)
    first, last = collection.find(start), collection.find(end)
    if first == last:
        raise ConfigError(f"{start!r} and {end!r} are the same song; a path leads from one to another.")
    units = collection.vectors.space.units
    allowed = rules.allowed(collection)
    allowed[[first, last]] = False
    pool, strays = _pool(units, first, last, min(steps, int(allowed.sum())), allowed)
    rows: list[int] = []
    if steps and len(pool):
        ends = units[[first, last]] @ units[pool].T
        steps_cost = _cost(units[pool] @ units[pool].T)
        steps_cost[np.tril_indices(len(pool))] = np.inf  # only onwards, so that no song comes twice
        costs = _Costs(steps_cost, _cost(ends[0]), _cost(ends[1]), STRAY * strays)
        for _ in range(ROUNDS):
            places = _shortest(costs)
            rows = pool[places].tolist()
            wrong = _refused(collection, rules, first, last, rows)
            if not wrong:
                break
            for layer in wrong:
                costs.strays[layer, places[layer]] = np.inf
        rows = [row for layer, row in enumerate(rows) if layer not in wrong]
    if steps and not rows:
        raise DataError(
            f"{collection.vectors.folder}: no song fits between {start!r} and {end!r}. Loosen the rules."
        )
    path = [first, *rows, last]
    cosines = np.array([1.0, *np.einsum("ij,ij->i", units[path[1:]], units[path[:-1]]).tolist()])
    return collection.songs(path, np.clip(cosines, -1, 1), np.clip(cosines, -1, 1))


def _even_way(start: NDArray[np.float32], end: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Return points at equal angles between two directions, without the ends, (steps, kept)."""
    shares = np.arange(1, steps + 1)[:, None] / (steps + 1)
    angle = float(np.arccos(np.clip(start @ end, -1, 1)))
    if np.sin(angle) < 1e-4:  # alike or opposite: a straight line does
        return unit_rows((1 - shares) * start + shares * end)
    return unit_rows((np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle))


def _pool(
    units: NDArray[np.float32], first: int, last: int, steps: int, allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rows near to the way, those near its start first, and what each costs as the song of each point."""
    ways = _even_way(units[first], units[last], steps)
    near = np.where(allowed, ways @ units.T, -np.inf)
    count = min(POOL, int(allowed.sum()))
    if not count or not len(ways):
        return np.zeros(0, np.int64), np.zeros((len(ways), 0))
    each = max(count // len(ways), 1)
    of_points = np.argpartition(-near, each - 1, axis=1)[:, :each]
    anywhere = np.argpartition(-near.max(axis=0), count - 1)[:count]
    pool = np.unique(np.concatenate([of_points.ravel(), anywhere]))
    forwards = units[pool] @ (units[last] - units[first])
    pool = pool[np.argsort(forwards, kind="stable")]
    return pool, _cost(near[:, pool])


class _Costs(NamedTuple):
    """What a path costs, by places in the pool."""

    steps: NDArray[np.float64]
    """From song to song, infinite backwards, (pool, pool)."""
    first: NDArray[np.float64]
    """From the first end to each, (pool,)."""
    last: NDArray[np.float64]
    """From each to the last end, (pool,)."""
    strays: NDArray[np.float64]
    """Of each as the song of each point, infinite where it must not be, (points, pool)."""


def _shortest(costs: _Costs) -> NDArray[np.int64]:
    """Return the place in the pool of the song of each point, so that the whole path costs least."""
    total, back = costs.first + costs.strays[0], []
    for stray in costs.strays[1:]:
        ways = total[:, None] + costs.steps
        best = np.argmin(ways, axis=0)
        back.append(best)
        total = ways[best, np.arange(len(best))] + stray
    chosen = [int(np.argmin(total + costs.last))]
    for best in reversed(back):
        chosen.append(int(best[chosen[-1]]))
    return np.array(chosen[::-1], np.int64)


def _cost(cosines: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what steps of these cosines cost."""
    return np.arccos(np.clip(cosines.astype(np.float64), -1, 1)) ** POWER


def _refused(
    collection: Collection, rules: SongRules, first: int, last: int, rows: Sequence[int]
) -> list[int]:
    """Return the points whose songs the rules refuse beside those before them."""
    picker = Picker(collection, rules, [first, last])
    return [place for place, row in enumerate(rows) if not picker.take(row)]
