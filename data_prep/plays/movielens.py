"""MovieLens 100k: 100,000 ratings with their time, by 943 people of known age, gender and occupation.

A movie stands where a track would. Both layouts are read: GroupLens' own (u.data, u.user, u.item) and
the atomic files of RecBole (ml-100k.inter, .user, .item), which lie inside its wheel on PyPI too.

A rating is an event "rating" with the rating as its weight; any of them counts as engagement unless
`least_weight` is set. ZIP codes are dropped. Content is the genres, one entry each, and the decade of
release, one entry each.

Source: Harper and Konstan 2015, https://grouplens.org/datasets/movielens/100k/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from audiomae.errors import DataError
from data_prep.plays.write import ContentTable, SourceTables
from data_prep.songs.archive import has_file, open_file

__all__ = ["tables"]

GENRES = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
DECADES = tuple(range(1920, 2000, 10))


@dataclass(frozen=True)
class _Movie:
    track_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]


def tables(root: Path | str) -> SourceTables:
    """Read the data set.

    Args:
        root: ml-100k.zip, RecBole's wheel, or a folder that holds the files of either.

    Raises:
        MissingError: If a file is not there.
        DataError: If one is of another layout.
    """
    own = has_file(root, "u.data")
    ratings = _cells(root, "u.data", 4) if own else _cells(root, "ml-100k.inter", 4, header=True)
    people = _cells(root, "u.user", 5, "|") if own else _cells(root, "ml-100k.user", 5, header=True)
    movies = _own_movies(root) if own else _atomic_movies(root)
    try:
        interactions = pa.table(
            {
                "user_id": [row[0] for row in ratings],
                "track_id": [row[1] for row in ratings],
                "timestamp": [int(float(row[3])) for row in ratings],
                "event": ["rating"] * len(ratings),
                "weight": pa.array([float(row[2]) for row in ratings], pa.float32()),
            }
        )
        ages = [int(row[1]) for row in people]
    except ValueError as error:
        raise DataError(f"{root}: a rating, time or age is no number ({error}). Fetch it again.") from error
    users = pa.table(
        {
            "user_id": [row[0] for row in people],
            "age": ages,
            "gender": [row[2] for row in people],
            "occupation": [row[3] for row in people],
        }
    )
    blank = [""] * len(movies)
    tracks = pa.table(
        {
            "track_id": [movie.track_id for movie in movies],
            "title": [movie.title for movie in movies],
            "artist": blank,
            "album": blank,
            "genre": ["|".join(movie.genres) for movie in movies],
            "year": pa.array([movie.year for movie in movies], pa.int32()),
        }
    )
    return SourceTables(
        "movielens-100k",
        [interactions],
        tracks=lambda: tracks,
        users=lambda: users,
        content=lambda: ContentTable(tracks, _vectors(movies), "movielens-genres-decades"),
        notes=(
            "A track here is a movie; its artist is unknown.",
            "weight is the rating, 1 to 5; any rating counts as engagement unless least_weight is set.",
            "Content is the movie's genres and its decade of release, 0 or 1 each.",
        ),
    )


def _vectors(movies: Sequence[_Movie]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Genres, then decades (the first for what is older, the last unused entry for an unknown year)."""
    vectors = np.zeros((len(movies), len(GENRES) + len(DECADES) + 1), dtype=np.float32)
    for row, movie in enumerate(movies):
        for genre in movie.genres:
            vectors[row, GENRES.index(genre)] = 1
        place = len(DECADES)
        if movie.year is not None:
            place = min(max(movie.year - DECADES[0], 0) // 10, len(DECADES) - 1)
        vectors[row, len(GENRES) + place] = 1
    return vectors


def _own_movies(root: Path | str) -> list[_Movie]:
    """Movies of u.item: id, title (year), release, video release, URL, unknown, 18 genres."""
    movies = []
    for row in _cells(root, "u.item", 5 + 1 + len(GENRES), "|"):
        year = re.search(r"\((\d{4})\)\s*$", row[1])
        genres = tuple(genre for genre, flag in zip(GENRES, row[6:], strict=True) if flag == "1")
        title = row[1][: year.start()].strip() if year else row[1]
        movies.append(_Movie(row[0], title, int(year[1]) if year else None, genres))
    return movies


def _atomic_movies(root: Path | str) -> list[_Movie]:
    """Movies of ml-100k.item: id, title, year, genres."""
    movies = []
    for row in _cells(root, "ml-100k.item", 4, header=True):
        genres = tuple(genre for genre in row[3].split() if genre in GENRES)
        year = int(row[2]) if row[2].isdecimal() and len(row[2]) == 4 else None
        movies.append(_Movie(row[0], row[1], year, genres))
    return movies


def _cells(
    root: Path | str, name: str, columns: int, delimiter: str = "\t", *, header: bool = False
) -> list[list[str]]:
    """Cells of a file, GroupLens' own being in Latin-1."""
    with open_file(root, name) as file:
        text = file.read().decode("utf-8" if header else "latin-1", "replace")
    lines = text.rstrip("\n").replace("\r\n", "\n").split("\n")
    rows = []
    for number, line in enumerate(lines[header:], 1 + header):
        cells = line.split(delimiter)
        if len(cells) != columns:
            raise DataError(
                f"{root}: {name}, line {number}: {len(cells)} cells, {columns} are right. Fetch it again."
            )
        rows.append(cells)
    return rows
