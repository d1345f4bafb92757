"""The two stages of serving: candidates for users, and the order that the ranker gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.listening.tables import Interactions
from audiomae.recommend.artists import Credits, code_artists, credit_artists
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.index import Found, Index
from audiomae.recommend.folder import SLICES, RecommenderFolder
from audiomae.recommend.ranking.features import Items, describe_candidates
from audiomae.recommend.ranking.ranker import Ranker, order_by
from audiomae.recommend.serving.known_plays import join_plays
from audiomae.recommend.serving.users import UserReader, Users
from audiomae.recommend.towers.model import TowerModel

__all__ = ["Engine"]

SMALL = 500
"""Items up to which all of them are candidates, so that stage one has nothing to choose."""


@dataclass(frozen=True)
class Engine:
    """A recommender's parts, open.

    Attributes:
        meta: What `recommender.json` says.
        model: The towers.
        catalogue: The items.
        reader: The users.
        index: Searches the catalogue.
        ranker: The second stage, where there is one and its order is kept.
    """

    meta: dict[str, Any]
    model: TowerModel
    catalogue: Catalogue
    reader: UserReader
    index: Index
    ranker: Ranker | None = None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        slices: Sequence[str] = SLICES,
        later: Interactions | None = None,
        ranker: bool = True,
    ) -> Engine:
        """Open a folder that `train-towers` has finished.

        Args:
            folder: The recommender.
            slices: Which of train, validation and test count as known plays.
            later: Plays that came after the training.
            ranker: Whether to use the second stage, where there is one.

        Raises:
            MissingError: If a file is missing, cut short or damaged.
            FingerprintError: If the parts do not belong together.
        """
        place = RecommenderFolder(Path(folder))
        meta, model, catalogue = place.open_trained()
        plays = [place.read_plays(name) for name in slices]
        known = join_plays([*plays, *([] if later is None else [later])], catalogue.track_ids)
        reader = UserReader(model, catalogue, known, place.read_users())
        index = catalogue.index(scale=meta["scale"], gamma=meta["gamma"])
        return cls(meta, model, catalogue, reader, index, place.read_ranker(model) if ranker else None)

    @cached_property
    def items(self) -> Items:
        """What the ranker sees of the items."""
        plays, seen = self.reader.plays, self.catalogue.first_seen.copy()
        now = None
        if plays.times is not None and len(plays):
            latest = np.iinfo(np.int64).max
            first = np.where(seen < 0, latest, seen)
            np.minimum.at(first, plays.tracks, plays.times)
            seen, now = np.where(first == latest, -1, first), int(plays.times.max()) + 1
        return Items(self.catalogue.unit, self.catalogue.plays, seen, self.artists, now)

    @cached_property
    def artists(self) -> NDArray[np.int64]:
        """Number of each item's artist, -1 unknown."""
        return code_artists(self.catalogue.items["artist"])

    @cached_property
    def credits(self) -> Credits:
        """Every artist that each item names: those whom a limit of songs counts."""
        return credit_artists(self.catalogue.items["artist"])

    @cached_property
    def unplayed(self) -> NDArray[np.bool_]:
        """Which items nobody is known to have played, (items,)."""
        plays = np.bincount(self.reader.plays.tracks, minlength=len(self.catalogue))
        return np.asarray(plays == 0)

    def retrieve_candidates(
        self,
        users: Users,
        count: int,
        *,
        where: NDArray[np.bool_] | None = None,
        exclude_heard: bool = True,
    ) -> Found:
        """Find the items nearest to some users: stage one.

        Args:
            users: The users.
            count: Candidates of each; a catalogue of a few hundred hands over all it has.
            where: Items that may be found, (items,).
            exclude_heard: Whether to leave out what a user has heard.
        """
        count = len(self.catalogue) if len(self.catalogue) <= SMALL else min(count, len(self.catalogue))
        heard = users.heard if exclude_heard else None
        return self.index.search(users.vectors, count, exclude=heard, allowed=where)

    def rank(self, users: Users, found: Found) -> Found:
        """Put candidates in the ranker's order: stage two. Without a ranker they stay as they are."""
        if self.ranker is None or not (found.rows >= 0).any():
            return Found(found.rows, found.scores)
        there = found.rows >= 0
        tables = [
            describe_candidates(self.items, one, rows[mask], scores[mask])
            for one, rows, scores, mask in zip(users.known, found.rows, found.scores, there, strict=True)
        ]
        flat = self.ranker.score(np.concatenate(tables))
        rows, scores = found.rows.copy(), np.full(found.scores.shape, -np.inf)
        for place, part in enumerate(np.split(flat, np.cumsum(there.sum(axis=1))[:-1])):
            # Candidates come best of retrieval first, which settles what the trees take for equal.
            order = order_by(part)
            rows[place, : len(part)], scores[place, : len(part)] = found.rows[place][order], part[order]
        return Found(rows, scores)
