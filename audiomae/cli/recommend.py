"""recommender → lists of songs: for one user, for many, for a new one, or from a few songs he likes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError
from audiomae.listening.tables import TableSettings, read_interactions
from audiomae.recommend.serving.recommender import Lists, Recommender
from audiomae.recommend.serving.users import Listeners

__all__ = ["RecommendSettings", "open_recommender", "read_ids", "read_listeners", "recommend"]

TAGS = ("title", "artist", "album", "genre")
SHOWN = 20
"""Users whose lists are printed as tables."""
_BLOCK = 2048


@dataclass(frozen=True)
class RecommendSettings:
    """Settings of `audiomae recommend`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        user: Id of a user.
        users: Ids of several users: a,b,c or, where an id holds a comma, a JSON list.
        all: Whether to make a list for every user there is; needs out.
        new: A user without an id, by what is known of him: '{"age": 30, "country": "DE"}'; '{}' for nothing.
        liked: Track ids of songs that a user without an id likes: a,b,c or a JSON list.
        k: Songs of a list.
        per_artist: Songs of one artist in a list, at most; any number by default.
        unplayed: Songs of a list, at least, that nobody is known to have played; fewer where there are no more.
        where: Tags that songs must have: '{"genre": "Rock"}'; of several values any will do.
        interactions: CSV or Parquet with plays that came after the training, known too.
        heard: Whether songs that the user has heard may be in his list.
        ranker: Whether to use the second stage, where train-ranker has left one.
        json: Whether to print JSON instead of tables.
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
    json: bool = False
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        unnamed = self.new is not None or bool(self.liked)
        if sum([self.user is not None, bool(self.users), self.all, unnamed]) != 1:
            raise ConfigError(
                "recommend makes lists for one kind of user: give --user ID, --users ID,ID, --all, or "
                "--new '{\"age\": 30}' and/or --liked TRACK,TRACK."
            )
        if self.all and self.out is None:
            raise ConfigError("--all makes a list for every user: name a file for them, --out lists.parquet.")
        if len(read_ids(self.users)) > SHOWN and self.out is None and not self.json:
            raise ConfigError(
                f"{len(read_ids(self.users))} tables are too many to read: add --json or --out lists.parquet."
            )
        if self.k < 1:
            raise ConfigError(f"k is {self.k}; it must be at least 1.")


def recommend(config: RecommendSettings) -> int:
    """Print lists, best first, or write them.

    Raises:
        DataError: If a user, track or tag is unknown.
        MissingError: If a part of the recommender is not there.
        FingerprintError: If its parts do not belong together.
    """
    recommender = open_recommender(config.recommender, config.interactions, config.ranker)
    names = recommender.reader.names if config.all else read_ids(config.users)
    if config.out is not None and names:
        _write_lists(recommender, names, config)
        print(json.dumps({"lists": len(names), "k": config.k, "out": config.out}))
        return 0
    listeners = read_listeners(recommender, config.user, config.users, config.new, config.liked)
    lists = _make_lists(recommender, listeners, config)
    if config.out is not None:
        with write_atomically(config.out) as temporary:
            pq.write_table(_table_of(recommender, listeners, lists), temporary)
    entries = _entries(recommender, listeners, lists)
    if config.json:
        stages = 2 if recommender.ranker is not None else 1
        about = {"recommender": recommender.meta["fingerprint"], "stages": stages, "lists": entries}
        print(json.dumps(about, indent=2, ensure_ascii=False))
    else:
        _print_tables(entries)
    return 0


def open_recommender(folder: str, interactions: str | None, ranker: bool) -> Recommender:
    """Open a recommender with plays that came after its training."""
    later = None if interactions is None else read_interactions(TableSettings(interactions))
    return Recommender.open(folder, later=later, ranker=ranker)


def read_listeners(
    recommender: Recommender,
    user: str | None,
    users: str | Sequence[str],
    new: dict[str, Any] | None,
    liked: str | Sequence[str],
) -> Listeners:
    """Return the users that the settings name or describe."""
    if new is not None or liked:
        return recommender.reader.new(new or {}, read_ids(liked))
    return recommender.reader.known([user] if user is not None else read_ids(users))


def read_ids(given: str | Sequence[str]) -> list[str]:
    """Return ids as a list: of a sequence, of text between commas, or of a JSON list.

    Raises:
        ConfigError: If what begins like a JSON list is none.

    Example:
        >>> read_ids("7, b"), read_ids('["a, b", 7]'), read_ids(("x",))
        (['7', 'b'], ['a, b', '7'], ['x'])
    """
    if not isinstance(given, str):
        return list(given)
    if not given.startswith("["):
        return [part.strip() for part in given.split(",") if part.strip()]
    try:
        return [str(one) for one in json.loads(given)]
    except ValueError:
        raise ConfigError(f'{given} is no JSON list; write it like \'["one", "two"]\', or one,two.') from None


def _make_lists(recommender: Recommender, listeners: Listeners, config: RecommendSettings) -> Lists:
    return recommender.recommend(
        listeners,
        config.k,
        per_artist=config.per_artist,
        where=config.where,
        exclude_heard=not config.heard,
        unplayed=config.unplayed,
    )


def _write_lists(recommender: Recommender, names: list[str], config: RecommendSettings) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    schema = pa.schema(
        [("user_id", pa.string()), ("place", pa.int32()), ("track_id", pa.string()), ("score", pa.float32())]
    )
    assert config.out is not None
    with (
        write_atomically(config.out) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task("lists", total=len(names))
        for first in range(0, len(names), _BLOCK):
            listeners = recommender.reader.known(names[first : first + _BLOCK])
            lists = _make_lists(recommender, listeners, config)
            writer.write_table(_table_of(recommender, listeners, lists).cast(schema))
            progress.advance(bar, len(listeners.names))


def _table_of(recommender: Recommender, listeners: Listeners, lists: Lists) -> pa.Table:
    users, places = np.nonzero(lists.rows >= 0)
    ids = recommender.catalogue.items["track_id"].combine_chunks()
    return pa.table(
        {
            "user_id": pa.array(listeners.names, pa.string()).take(pa.array(users)),
            "place": pa.array(places + 1, pa.int32()),
            "track_id": ids.take(pa.array(lists.rows[users, places])),
            "score": pa.array(lists.scores[users, places].astype(np.float32)),
        }
    )


def _entries(recommender: Recommender, listeners: Listeners, lists: Lists) -> list[dict[str, Any]]:
    items, unit = recommender.catalogue.items, recommender.catalogue.unit
    entries = []
    for name, vector, rows, scores in zip(listeners.names, listeners.vectors, *lists, strict=True):
        kept = rows[rows >= 0]
        songs = items.select(["track_id", *TAGS]).take(pa.array(kept)).to_pylist()
        cosines = np.einsum("ij,j->i", unit[kept].astype(np.float64), vector.astype(np.float64))
        figures = zip(songs, scores.tolist(), cosines.tolist(), strict=False)
        entries.append(
            {
                "user": name,
                "songs": [
                    {**song, "score": round(score, 6), "cosine": round(cosine, 6)}
                    for song, score, cosine in figures
                ],
            }
        )
    return entries


def _print_tables(entries: list[dict[str, Any]]) -> None:
    console = Console(markup=False, width=max(110, Console().width))
    for entry in entries:
        title = "For the new user" if entry["user"] == "new" else f"For user {entry['user']}"
        table = Table(title=title, title_justify="left")
        table.add_column("", justify="right")
        for name in ("title", "artist", "genre", "track_id"):
            table.add_column(name, overflow="fold")
        table.add_column("score", justify="right")
        for place, song in enumerate(entry["songs"], 1):
            shown = [song[name] for name in ("title", "artist", "genre", "track_id")]
            table.add_row(str(place), *shown, f"{song['score']:.3f}")
        console.print(table if entry["songs"] else f"{title}: no song is left.")
