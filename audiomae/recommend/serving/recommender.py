"""A trained recommender, open: candidates for users, put in order, at most so many of an artist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.disk.files import read_json
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.index import Found, Index
from audiomae.recommend.ranking.features import Items, code_artists, describe_candidates
from audiomae.recommend.ranking.ranker import Ranker, order_by
from audiomae.recommend.serving.known_plays import SLICES, join_plays, read_slice
from audiomae.recommend.serving.places import first_of_each, keep_places
from audiomae.recommend.serving.users import ListenerReader, Listeners
from audiomae.recommend.towers.model import TowerModel

__all__ = ["FORMAT", "SMALL", "Lists", "Recommender"]

FORMAT = "audiomae-recommender/1"
SMALL = 500
"""Items up to which all of them are candidates, so that stage one has nothing to choose."""
CANDIDATES = 200
"""Candidates of a list that no ranker orders, where songs of one artist are limited."""
_BLOCK = 256


class Lists(NamedTuple):
    """A list for each of some users, best first."""

    rows: NDArray[np.int64]
    """Rows of the catalogue, (users, k), -1 where there are no more."""
    scores: NDArray[np.float64]
    """What they are ordered by, the ranker's score or scale * cosine + gamma * log q; (users, k), -inf past the end."""


@dataclass(frozen=True)
class Recommender:
    """A recommender folder, open.

    Attributes:
        folder: Where it lies.
        meta: What `recommender.json` says.
        model: The towers.
        catalogue: The items.
        reader: The users.
        index: Searches the catalogue.
        ranker: The second stage, where there is one and its order is kept.
    """

    folder: Path
    meta: dict[str, Any]
    model: TowerModel
    catalogue: Catalogue
    reader: ListenerReader
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
    ) -> Recommender:
        """Open a folder that `train-towers` has finished.

        Args:
            folder: The recommender.
            slices: Which of train, validation and test count as known plays.
            later: Plays that came after the training.
            ranker: Whether to use the second stage, where there is one.

        Raises:
            MissingError: If a file is missing or cut short.
            FingerprintError: If the parts do not belong together.
        """
        folder = Path(folder)
        if (folder / "run.json").exists() and not (folder / "recommender.json").exists():
            raise MissingError(
                f"{folder}: its training has not finished. Run the same audiomae train-towers again."
            )
        meta = read_json(folder / "recommender.json", format=FORMAT)
        model = TowerModel.load(folder / "towers")
        catalogue = Catalogue.open(folder / "catalogue")
        for part, found in (
            ("recommender.json", meta["towers_fingerprint"]),
            ("catalogue", catalogue.meta["towers_fingerprint"]),
        ):
            if found != model.fingerprint:
                raise FingerprintError(
                    f"{folder / part}: was made with towers {found}, those in {folder / 'towers'} are "
                    f"{model.fingerprint}. Run audiomae train-towers into another folder."
                )
        plays = [read_slice(folder / "tables", name) for name in slices]
        known = join_plays([*plays, *([] if later is None else [later])], catalogue.track_ids)
        try:
            users = pq.read_table(folder / "tables" / "users.parquet")
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise MissingError(
                f"{folder / 'tables' / 'users.parquet'}: {reason}. Run train-towers again."
            ) from None
        reader = ListenerReader(model, catalogue, known, users)
        index = catalogue.index(scale=meta["scale"], gamma=meta["gamma"])
        second = None
        if ranker and (folder / "ranker" / "ranker.json").exists():
            second = Ranker.load(folder / "ranker", model.fingerprint)
        return cls(
            folder, meta, model, catalogue, reader, index, second if second and second.in_use else None
        )

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
        return code_artists(self.catalogue.items["artist"].to_pylist())

    def retrieve_candidates(
        self,
        listeners: Listeners,
        count: int,
        *,
        where: NDArray[np.bool_] | None = None,
        exclude_heard: bool = True,
    ) -> Found:
        """Find the items nearest to some users: stage one.

        Args:
            listeners: The users.
            count: Candidates of each; a catalogue of a few hundred hands over all it has.
            where: Items that may be found, (items,).
            exclude_heard: Whether to leave out what a user has heard.
        """
        count = len(self.catalogue) if len(self.catalogue) <= SMALL else min(count, len(self.catalogue))
        heard = listeners.heard if exclude_heard else None
        return self.index.search(listeners.vectors, count, exclude=heard, allowed=where)

    def recommend(
        self,
        listeners: Listeners,
        k: int = 10,
        *,
        per_artist: int | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
        exclude_heard: bool = True,
        unplayed: int = 0,
    ) -> Lists:
        """Make a list for each user.

        A user's list does not depend on the users beside him. Equal scores go to the smaller track id.

        Args:
            listeners: The users.
            k: Songs of a list; there are fewer where the catalogue has no more.
            per_artist: Songs of one artist at most; an unknown artist is nobody's.
            where: Tags that a song must have, such as {"genre": "Rock"}; of several values any will do.
            exclude_heard: Whether to leave out what a user has heard.
            unplayed: Songs of a list, at least, that nobody is known to have played: the best of them take the
                last places where they would not have made it; fewer where there are no more.

        Raises:
            ConfigError: If a number or the name of a tag makes no sense.
            DataError: If no song has such a tag.
        """
        if k < 1 or (per_artist is not None and per_artist < 1):
            name, value = ("k", k) if k < 1 else ("per_artist", per_artist)
            raise ConfigError(f"{name} is {value}; it must be at least 1.")
        if not 0 <= unplayed <= k:
            raise ConfigError(f"unplayed is {unplayed}; it must be from 0 to the {k} songs of a list.")
        allowed = None if not where else self.having(where)
        lists = self._make_lists(listeners, k, per_artist, allowed, exclude_heard)
        if unplayed:
            among = self.unplayed if allowed is None else self.unplayed & allowed
            kept = self._make_lists(listeners, unplayed, per_artist, among, exclude_heard)
            short = (self.unplayed[lists.rows] & (lists.rows >= 0)).sum(axis=1) < unplayed
            for place in np.flatnonzero(short).tolist():
                listed, reserved = ((two.rows[place], two.scores[place]) for two in (lists, kept))
                rows, scores = keep_places(listed, reserved, self.artists, per_artist)
                lists.rows[place, : len(rows)], lists.scores[place, : len(rows)] = rows, scores
        return lists

    @cached_property
    def unplayed(self) -> NDArray[np.bool_]:
        """Which items nobody is known to have played, (items,)."""
        plays = np.bincount(self.reader.plays.tracks, minlength=len(self.catalogue))
        return np.asarray(plays == 0)

    def _make_lists(
        self,
        listeners: Listeners,
        k: int,
        per_artist: int | None,
        allowed: NDArray[np.bool_] | None,
        exclude_heard: bool,
    ) -> Lists:
        lists = Lists(
            np.full((len(listeners.names), k), -1, np.int64), np.full((len(listeners.names), k), -np.inf)
        )
        for first in range(0, len(listeners.names), _BLOCK):
            part = np.arange(first, min(first + _BLOCK, len(listeners.names)))
            count = k if self.ranker is None else max(k, int(self.ranker.meta["candidates"]))
            if per_artist is not None:
                count = max(count, CANDIDATES)
            while len(part):
                some = _choose(listeners, part)
                found = self.retrieve_candidates(some, count, where=allowed, exclude_heard=exclude_heard)
                full = self._fill(some, found, part, per_artist, lists)
                # Whoever the limit leaves short asks for more, each for himself.
                more = ~full & (found.rows[:, -1] >= 0) & (found.rows.shape[1] < len(self.catalogue))
                part, count = part[more], 4 * count
        return lists

    def having(self, where: Mapping[str, str | Sequence[str]]) -> NDArray[np.bool_]:
        """Return which items have the given tags, (items,); a genre "A|B" is both A and B.

        Raises:
            ConfigError: If there is no such tag.
            DataError: If no item has one of the values.
        """
        allowed = np.ones(len(self.catalogue), dtype=bool)
        for name, given in where.items():
            tags = ("title", "artist", "album", "genre")
            if name not in tags:
                raise ConfigError(f"where names {name!r}; songs are chosen by {', '.join(tags)}.")
            column = self.catalogue.items[name].combine_chunks().dictionary_encode()
            values = column.dictionary.to_pylist()
            pieces = [{value, *(part.strip() for part in re.split(r"[|;]", value))} for value in values]
            wanted = [given] if isinstance(given, str) else list(given)
            for value in wanted:
                if not any(value in one for one in pieces):
                    close = difflib.get_close_matches(value, sorted(set().union(*pieces) - {""}), n=3)
                    hint = f"Close: {', '.join(close)}." if close else "Look at the tags in items.parquet."
                    raise DataError(f"no song has {name} {value!r}. {hint}")
            fits = np.array([not one.isdisjoint(wanted) for one in pieces], dtype=bool)
            allowed &= fits[column.indices.to_numpy(zero_copy_only=False)]
        return allowed

    def rank(self, listeners: Listeners, found: Found) -> Found:
        """Put candidates in the ranker's order: stage two. Without a ranker they stay as they are."""
        if self.ranker is None or not (found.rows >= 0).any():
            return Found(found.rows, found.scores)
        there = found.rows >= 0
        tables = [
            describe_candidates(self.items, one, rows[mask], scores[mask])
            for one, rows, scores, mask in zip(listeners.known, found.rows, found.scores, there, strict=True)
        ]
        flat = self.ranker.score(np.concatenate(tables))
        rows, scores = found.rows.copy(), np.full(found.scores.shape, -np.inf)
        for place, part in enumerate(np.split(flat, np.cumsum(there.sum(axis=1))[:-1])):
            # Candidates come best of retrieval first, which settles what the trees take for equal.
            order = order_by(part)
            rows[place, : len(part)], scores[place, : len(part)] = found.rows[place][order], part[order]
        return Found(rows, scores)

    def _fill(
        self,
        listeners: Listeners,
        found: Found,
        places: NDArray[np.int64],
        per_artist: int | None,
        lists: Lists,
    ) -> NDArray[np.bool_]:
        """Write the lists of some users; return which are full."""
        found = self.rank(listeners, found)
        k = lists.rows.shape[1]
        for place, rows, scores in zip(places, found.rows, found.scores, strict=True):
            kept = np.flatnonzero(rows >= 0)
            if per_artist is not None:
                kept = kept[first_of_each(self.artists[rows[kept]], per_artist)]
            kept = kept[:k]
            lists.rows[place, : len(kept)], lists.scores[place, : len(kept)] = rows[kept], scores[kept]
        return np.asarray(lists.rows[places, -1] >= 0)


def _choose(listeners: Listeners, places: NDArray[np.int64]) -> Listeners:
    chosen = places.tolist()
    return Listeners(
        [listeners.names[place] for place in chosen],
        listeners.vectors[places],
        [listeners.known[place] for place in chosen],
        [listeners.heard[place] for place in chosen],
    )
