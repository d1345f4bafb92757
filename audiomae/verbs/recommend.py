"""recommender → lists of songs: for one user, for many, for a new one, or from a few songs they like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from audiomae.recommend.ids import read_ids
from audiomae.recommend.serving.lists import ListRules, make_lists
from audiomae.recommend.serving.recommender import Recommender
from audiomae.recommend.serving.songs import UserList, list_songs, table_of

__all__ = ["RecommendResult", "RecommendSettings", "recommend"]


@dataclass(frozen=True)
class RecommendSettings:
    """Settings of `audiomae recommend`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        user: Id of a user.
        users: Ids of several users: a,b,c or, where an id holds a comma, a JSON list.
        all: Whether to make a list for every user there is; needs out.
        new: A user without an id, by what is known of them: '{"age": 30, "country": "DE"}'; '{}' for nothing.
        liked: Songs that a user without an id likes: ids, ends of paths (one.wav) or titles, a,b,c or a JSON list.
        k: Songs of a list.
        per_artist: Songs of one artist in a list, at most; any number by default.
        unplayed: Songs of a list, at least, that nobody is known to have played; fewer where there are no more.
        where: Tags that songs must have: '{"genre": "Rock"}'; of several values any will do.
        interactions: CSV or Parquet with plays that came after the training, known too.
        heard: Whether songs that the user has heard may be in their list.
        ranker: Whether to use the second stage, where train-ranker has left one.
        out: Parquet file for the lists: user_id, place, track_id, score.
    """

    recommender: str
    user: str | None = None
    users: str | tuple[str, ...] = ()
    all: bool = False
    new: dict[str, Any] | None = None
    liked: str | tuple[str, ...] = ()
    k: int = 10
    per_artist: int | None = None
    unplayed: int = 0
    where: dict[str, str | list[str]] = field(default_factory=dict)
    interactions: str | None = None
    heard: bool = False
    ranker: bool = True
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        unnamed = self.new is not None or bool(read_ids(self.liked))
        if sum([self.user is not None, bool(read_ids(self.users)), self.all, unnamed]) != 1:
            raise ConfigError(
                "recommend makes lists for one kind of user: give --user ID, --users ID,ID, --all, or "
                "--new '{\"age\": 30}' and/or --liked TRACK,TRACK."
            )
        if self.all and self.out is None:
            raise ConfigError("--all makes a list for every user: name a file for them, --out lists.parquet.")
        _ = self.rules

    @property
    def rules(self) -> ListRules:
        """What the lists keep to."""
        return ListRules(self.k, self.per_artist, self.unplayed, self.where, self.heard)


@dataclass(frozen=True)
class RecommendResult:
    """What `recommend` made.

    Attributes:
        recommender: Fingerprint of the training.
        stages: 2 where a ranker orders what the towers find, 1 where it does not.
        users: Users who got a list.
        k: Songs of a list.
        lists: A list a user, best songs first; those of several users are not here where `out` holds them.
        out: File the lists were written to, if they were.
    """

    recommender: str
    stages: int
    users: int
    k: int
    lists: list[UserList]
    out: str | None


def recommend(settings: RecommendSettings, *, progress: Progress = SILENT) -> RecommendResult:
    """Make lists, best first, and write them where a file is named.

    Raises:
        DataError: If a user, track or tag is unknown.
        MissingError: If a part of the recommender is not there, or damaged.
        FingerprintError: If its parts do not belong together.
    """
    opened = Recommender.open(settings.recommender, later=settings.interactions, ranker=settings.ranker)
    names = opened.users if settings.all else read_ids(settings.users)
    lists: list[UserList] = []
    if settings.out is not None and names:
        opened.write_lists(names, settings.rules, settings.out, progress=progress)
    else:
        users = opened.find_users(settings.user, names, settings.new, settings.liked)
        made = make_lists(opened.engine, users, settings.rules)
        if settings.out is not None:
            with write_atomically(settings.out) as temporary:
                pq.write_table(table_of(opened.engine, users, made), temporary)
        lists = list_songs(opened.engine, users, made)
    count = len(names) or len(lists)
    return RecommendResult(opened.fingerprint, opened.stages, count, settings.k, lists, settings.out)
