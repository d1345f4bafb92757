"""HetRec 2011 Last.fm 2k: play counts of 1,892 listeners, whose tags are the content of the artists.

An artist stands where a track would. A play count carries no time. Weight is 1 + ln(plays), since one
listener's counts run from 1 to 352,698; the counts stay beside it in the column `plays`.

Content is the tags that listeners gave an artist: tf-idf over artists, cut down to 128 dimensions by a
truncated singular value decomposition. The tags come from the listeners who are judged as well, all
together and without their names: they describe artists, and give no listener away. An artist that
nobody tagged has no vector.

Source: Cantador, Brusilovsky and Kuflik 2011, https://grouplens.org/datasets/hetrec-2011/
(non-commercial research use)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from audiomae.errors import DataError
from data_prep.plays.write import ContentTable, SourceTables
from data_prep.songs.archive import open_file

__all__ = ["tables"]


def tables(root: Path | str, *, dim: int = 128, seed: int = 0) -> SourceTables:
    """Read the data set.

    Args:
        root: hetrec2011-lastfm-2k.zip, or the folder it unpacks to.
        dim: Dimensions of the content; fewer where there are fewer tags or artists.
        seed: Seed of the decomposition.

    Raises:
        MissingError: If a file is not there.
        DataError: If one is of another layout.
    """
    names = {row[0]: row[1] for row in _rows(root, "artists.dat", ("id", "name"))}
    plays = _rows(root, "user_artists.dat", ("userID", "artistID", "weight"))
    counts = np.array([_count(root, row[2]) for row in plays])
    interactions = pa.table(
        {
            "user_id": [row[0] for row in plays],
            "track_id": [row[1] for row in plays],
            "weight": (1 + np.log(counts)).astype(np.float32),
            "plays": counts,
        }
    )
    ids = sorted({row[1] for row in plays} | set(names))
    titles = [names.get(name, "") for name in ids]
    blank = [""] * len(ids)
    tracks = pa.table({"track_id": ids, "title": titles, "artist": titles, "album": blank, "genre": blank})

    def content() -> ContentTable | None:
        tags = _rows(root, "user_taggedartists.dat", ("artistID", "tagID"))
        return _tag_content([row for row in tags if row[0] in names], tracks, dim, seed)

    return SourceTables(
        "hetrec2011-lastfm-2k",
        [interactions],
        tracks=lambda: tracks,
        content=content,
        notes=(
            "A track here is an artist.",
            "Plays carry no time: split per user, not by time.",
            "weight is 1 + ln(plays); the column plays holds the counts.",
            "Content is the tags that all listeners gave an artist; artists without a tag have no vector.",
            "Non-commercial research use.",
        ),
        settings={"dim": dim, "seed": seed},
    )


def _tag_content(tags: list[tuple[str, ...]], tracks: pa.Table, dim: int, seed: int) -> ContentTable | None:
    if not tags:
        return None
    artists = sorted({row[0] for row in tags})
    words = sorted({row[1] for row in tags})
    place = {name: number for number, name in enumerate(artists)}
    word = {name: number for number, name in enumerate(words)}
    cells = [place[row[0]] for row in tags], [word[row[1]] for row in tags]
    counts = sparse.csr_matrix((np.ones(len(tags)), cells), shape=(len(artists), len(words)))
    counts = counts[:, np.diff(counts.tocsc().indptr) > 1] if len(artists) > 1 else counts
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    size = min(dim, *(extent - 1 for extent in weighed.shape))
    vectors = TruncatedSVD(size, random_state=seed).fit_transform(weighed) if size >= 1 else weighed.toarray()
    rows = {name: number for number, name in enumerate(tracks["track_id"].to_pylist())}
    kept = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0)
    tagged = tracks.take(pa.array([rows[artists[number]] for number in kept], pa.int64()))
    return ContentTable(tagged, vectors[kept].astype(np.float32), f"hetrec-tags-{size}-{seed}")


def _rows(root: Path | str, name: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Cells of some columns of a tab-separated file."""
    with open_file(root, name) as file:
        text = io.StringIO(file.read().decode("utf-8", "replace"), newline="")
        reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        try:
            places = [header.index(column) for column in columns]
            return [tuple(row[place] for place in places) for row in reader if row]
        except (ValueError, IndexError) as error:
            wanted = ", ".join(columns)
            raise DataError(
                f"{root}: {name}, line {reader.line_num}: not the columns {wanted} ({error}). Fetch it again."
            ) from error


def _count(root: Path | str, cell: str) -> int:
    if not cell.isdecimal() or int(cell) < 1:
        raise DataError(
            f"{root}: user_artists.dat, column weight: {cell!r} is no count above 0. Fetch it again."
        )
    return int(cell)
