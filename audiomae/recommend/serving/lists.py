"""Lists for users, as rows of the catalogue: both stages, at most so many of an artist, places for unplayed songs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.corpus.filters import Where, having
from audiomae.recommend.catalogue.index import Found
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.places import first_of_each, keep_places
from audiomae.recommend.serving.users import Users

__all__ = ["ListRules", "Lists", "make_lists"]

CANDIDATES = 200
"""Candidates of a list that no ranker orders, where songs of one artist are limited."""
_BLOCK = 256


@dataclass(frozen=True)
class ListRules:
    """What lists keep to.

    Attributes:
        k: Songs of a list; there are fewer where the catalogue has no more.
        per_artist: Songs of one artist at most, those in which they are a guest (feat., &, ;) too; an unknown artist
            is nobody's. None for any number.
        unplayed: Songs of a list, at least, that nobody is known to have played: the best of them take the last
            places where they would not have made it; fewer where there are no more.
        where: Tags that a song must have, such as {"genre": "Rock"}; of several values any will do.
        heard: Whether a list may hold what its user has heard.
    """

    k: int = 10
    per_artist: int | None = None
    unplayed: int = 0
    where: Where = field(default_factory=dict)
    heard: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("k", self.k, least=1)
        if self.per_artist is not None:
            require("per_artist", self.per_artist, least=1)
        require("unplayed", self.unplayed, least=0, most=self.k, unit="songs, the length of a list")


class Lists(NamedTuple):
    """A list for each of some users, best first."""

    rows: NDArray[np.int64]
    """Rows of the catalogue, (users, k), -1 where there are no more."""
    scores: NDArray[np.float64]
    """What they are ordered by, the ranker's score or scale * cosine + gamma * log q; (users, k), -inf past the end."""


def make_lists(engine: Engine, users: Users, rules: ListRules) -> Lists:
    """Make a list for each user.

    A user's list does not depend on the users beside them. Equal scores go to the smaller track id.

    Args:
        engine: The two stages.
        users: The users.
        rules: What the lists keep to.

    Raises:
        ConfigError: If the name of a tag makes no sense.
        DataError: If no song has such a tag.
    """
    allowed = having(engine.catalogue.items, rules.where) if rules.where else None
    lists = _make(engine, users, rules, rules.k, allowed)
    if rules.unplayed:
        unplayed = engine.unplayed
        kept = _make(
            engine, users, rules, rules.unplayed, unplayed if allowed is None else unplayed & allowed
        )
        short = (unplayed[lists.rows] & (lists.rows >= 0)).sum(axis=1) < rules.unplayed
        for place in np.flatnonzero(short).tolist():
            listed, reserved = ((two.rows[place], two.scores[place]) for two in (lists, kept))
            rows, scores = keep_places(listed, reserved, engine.credits, rules.per_artist)
            lists.rows[place, : len(rows)], lists.scores[place, : len(rows)] = rows, scores
    return lists


def _make(engine: Engine, users: Users, rules: ListRules, k: int, allowed: NDArray[np.bool_] | None) -> Lists:
    shape = len(users.names), k
    lists = Lists(np.full(shape, -1, np.int64), np.full(shape, -np.inf))
    for first in range(0, len(users.names), _BLOCK):
        part = np.arange(first, min(first + _BLOCK, len(users.names)))
        count = k if engine.ranker is None else max(k, int(engine.ranker.meta["candidates"]))
        if rules.per_artist is not None:
            count = max(count, CANDIDATES)
        while len(part):
            some = users.choose(part)
            found = engine.retrieve_candidates(some, count, where=allowed, exclude_heard=not rules.heard)
            full = _fill(engine, engine.rank(some, found), part, rules.per_artist, lists)
            # Whoever the limit leaves short asks for more, each for themselves.
            more = ~full & (found.rows[:, -1] >= 0) & (found.rows.shape[1] < len(engine.catalogue))
            part, count = part[more], 4 * count
    return lists


def _fill(
    engine: Engine, ranked: Found, places: NDArray[np.int64], per_artist: int | None, lists: Lists
) -> NDArray[np.bool_]:
    """Write the lists of some users; return which are full."""
    k = lists.rows.shape[1]
    for place, rows, scores in zip(places, ranked.rows, ranked.scores, strict=True):
        kept = np.flatnonzero(rows >= 0)
        if per_artist is not None:
            kept = kept[first_of_each(engine.credits, rows[kept], per_artist)]
        kept = kept[:k]
        lists.rows[place, : len(kept)], lists.scores[place, : len(kept)] = rows[kept], scores[kept]
    return np.asarray(lists.rows[places, -1] >= 0)
