"""What is asked about: songs of the collection, audio files and playlists; some liked, some not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import ConfigError, DataError
from audiomae.similarity.collection import LEARNED, Collection
from audiomae.similarity.playlists import PLAYLISTS, read_playlist
from audiomae.vectors.search import unit_rows

__all__ = ["Examples", "query_of", "read_examples", "score_songs"]

UNLIKE = 0.5
"""Weight of the mean of what is not wanted, beside 1 for what is (Rocchio 1971)."""

log = logging.getLogger(__name__)


class Examples(NamedTuple):
    """Songs that somebody points at."""

    rows: list[int]
    """Those of the collection."""
    vectors: list[NDArray[np.float32]]
    """Vectors of files that are not in it, (dim,) each."""
    names: list[str]
    """What each is called, files last."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows) + len(self.vectors)


def read_examples(
    collection: Collection, names: Sequence[str], *, files: Sequence[str] = (), what: str = "like"
) -> Examples:
    """Find songs by what people name: tracks, audio files and playlists (M3U, CSV).

    What names a song of the collection is that song. What a playlist names is looked for in the collection alone:
    nothing that a file says is opened.

    Args:
        collection: Where the songs are.
        names: What people write.
        files: Audio files that are read as they are, those of the collection too.
        what: What they are called in messages.

    Raises:
        DataError: If a name is nothing that is known, or none of a playlist's songs is in the collection.
        DecodeError: If a file cannot be read.
    """
    rows: dict[int, str] = {}
    heard = {file: collection.embed_file(file) for file in files}
    for name in names:
        suffix = Path(name).suffix.lower()
        if suffix in PLAYLISTS and Path(name).is_file():
            rows |= dict.fromkeys(_rows_of_playlist(collection, name), name)
            continue
        try:
            rows[collection.find(name)] = name
        except DataError:
            if not Path(name).is_file():
                raise
            heard[name] = collection.embed_file(name)
    if names and not rows and not heard:
        raise DataError(f"{what} names no song.")
    called = [_called(collection, row) for row in rows]
    return Examples(list(rows), list(heard.values()), [*called, *heard])


def _called(collection: Collection, row: int) -> str:
    title, artist = collection.titles[row], collection.artists[row]
    name = title or Path(collection.paths[row]).name or collection.track_ids[row]
    return f"{name} — {artist}" if artist else name


def _rows_of_playlist(collection: Collection, path: str) -> list[int]:
    entries, found = read_playlist(path), []
    for entry in entries:
        try:
            found.append(collection.find(entry))
        except DataError:
            log.warning("%s: %s is not in %s; passed over", path, entry[:200], collection.vectors.folder)
    if not found:
        raise DataError(
            f"{path}: none of its {len(entries)} songs is in {collection.vectors.folder}. Export them too, or name "
            "songs that are."
        )
    return found


def score_songs(
    collection: Collection,
    like: Examples,
    unlike: Examples | None = None,
    *,
    by: Mapping[str, float] | None = None,
    hubs: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the cosine and the score of every song with what is asked about, (tracks,) each.

    The query is the mean of the examples' directions, less half that of the counter-examples'. A score is how far the
    cosine lies above what is usual for a song, in deviations; of several factors the weighted mean.

    Args:
        collection: The songs.
        like: Examples; at least one.
        unlike: Counter-examples.
        by: Weight of each factor, such as {"timbre": 1, "rhythm": 0.5}; the learned vector alone by default.
        hubs: Whether to correct hubs; a score is the cosine itself without.

    Raises:
        ConfigError: If there is no such factor, or no weight above 0.
        DataError: If a factor was not measured here, or an example lacks it.
    """
    weights = {name: float(weight) for name, weight in (by or {LEARNED: 1.0}).items() if weight}
    if not weights or min(weights.values()) < 0 or not np.isfinite(list(weights.values())).all():
        raise ConfigError(f"by is {dict(by or {})}; weights must be 0 or more, and one above 0.")
    cosines, scores = np.zeros(len(collection), np.float32), np.zeros(len(collection), np.float32)
    for name, weight in weights.items():
        query = query_of(collection, like, unlike, name)
        factor = collection.factor(name)
        found = factor.space.cosines(query[None])
        score = factor.space.scores(found)[0] if hubs else found[0]
        share = weight / sum(weights.values())
        cosines += np.float32(share) * np.where(factor.known, found[0], 0)
        scores += np.float32(share) * np.where(factor.known, score, 0)
    return cosines, scores


def query_of(
    collection: Collection, like: Examples, unlike: Examples | None = None, name: str = LEARNED
) -> NDArray[np.float32]:
    """Return the direction that examples ask for in a factor's space, (kept,); see `score_songs`."""
    query = _direction(collection, like, name)
    return query - UNLIKE * _direction(collection, unlike, name) if unlike else query


def _direction(collection: Collection, examples: Examples, name: str) -> NDArray[np.float32]:
    """Return the mean direction of examples in a factor's space, (kept,)."""
    space, known = collection.factor(name)
    if lacking := [row for row in examples.rows if not known[row]]:
        raise DataError(f"{collection.track_ids[lacking[0]]}: its {name} was not measured. Prepare it again.")
    if examples.vectors and name != LEARNED:
        raise DataError(
            f"{examples.names[-1]}: a file that is not in the collection is compared by {LEARNED} alone, not by "
            f"{name}. Export it too, and name the track."
        )
    units = [space.units[examples.rows]]
    if examples.vectors:
        units.append(space.project(np.stack(examples.vectors)))
    return np.asarray(unit_rows(np.concatenate(units)).mean(axis=0), np.float32)
