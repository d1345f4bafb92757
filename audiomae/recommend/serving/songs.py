"""Lists as people and programs read them: songs with their tags, and tables for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.corpus.song import TAGS
from audiomae.disk.files import write_atomically
from audiomae.progress import SILENT, Progress
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.lists import ListRules, Lists, make_lists
from audiomae.recommend.serving.users import Users

__all__ = ["RecommendedSong", "UserList", "list_songs", "table_of", "write_lists"]

_BLOCK = 2048
_SCHEMA = pa.schema(
    [("user_id", pa.string()), ("place", pa.int32()), ("track_id", pa.string()), ("score", pa.float32())]
)


@dataclass(frozen=True)
class RecommendedSong:
    """A song of a list.

    Attributes:
        track_id: Its id.
        title: Its title, empty where unknown.
        artist: Its artist, empty where unknown.
        album: Its album, empty where unknown.
        genre: Its genre, empty where unknown.
        path: Where the song lay when it was prepared, empty where unknown.
        score: What the list is ordered by: the ranker's score, or scale · cosine + γ · log q without one.
        cosine: How near it is to the user in the towers' space, in [-1, 1].
    """

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    score: float
    cosine: float


@dataclass(frozen=True)
class UserList:
    """A list for one user.

    Attributes:
        user: Their id; "new" for one who has none.
        songs: Best first.
    """

    user: str
    songs: list[RecommendedSong]


def list_songs(engine: Engine, users: Users, lists: Lists) -> list[UserList]:
    """Return lists with the songs' tags."""
    items, unit = engine.catalogue.items, engine.catalogue.unit
    tags = ["track_id", *TAGS, "path"]
    made = []
    for name, vector, rows, scores in zip(users.names, users.vectors, *lists, strict=True):
        kept = rows[rows >= 0]
        cosines = np.einsum("ij,j->i", unit[kept].astype(np.float64), vector.astype(np.float64))
        about = items.select(tags).take(pa.array(kept)).to_pylist()
        figures = zip(about, scores[: len(kept)].tolist(), cosines.tolist(), strict=True)
        songs = [
            RecommendedSong(**song, score=round(score, 6), cosine=round(cosine, 6))
            for song, score, cosine in figures
        ]
        made.append(UserList(name, songs))
    return made


def table_of(engine: Engine, users: Users, lists: Lists) -> pa.Table:
    """Return lists as a table: user_id, place (from 1), track_id, score."""
    owners, places = np.nonzero(lists.rows >= 0)
    ids = engine.catalogue.items["track_id"].combine_chunks()
    columns = [
        pa.array(users.names, pa.string()).take(pa.array(owners)),
        pa.array(places + 1, pa.int32()),
        ids.take(pa.array(lists.rows[owners, places])),
        pa.array(lists.scores[owners, places].astype(np.float32)),
    ]
    return pa.table(columns, schema=_SCHEMA)


def write_lists(
    engine: Engine,
    names: Sequence[str],
    rules: ListRules,
    out: Path | str,
    progress: Progress = SILENT,
) -> None:
    """Write the lists of any number of known users to a Parquet file, as `table_of` gives them.

    Args:
        engine: The two stages.
        names: Ids of the users.
        rules: What the lists keep to.
        out: File to write, atomically.
        progress: Told how far the work is.
    """
    with (
        write_atomically(out) as temporary,
        pq.ParquetWriter(temporary, _SCHEMA) as writer,
        progress.stage("lists", total=len(names), unit="users") as stage,
    ):
        for first in range(0, len(names), _BLOCK):
            users = engine.reader.known(names[first : first + _BLOCK])
            writer.write_table(table_of(engine, users, make_lists(engine, users, rules)))
            stage.advance(len(users.names))
