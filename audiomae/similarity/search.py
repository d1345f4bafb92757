"""The songs most like some, and least like others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audiomae.similarity.collection import Collection
from audiomae.similarity.query import Examples, read_examples, score_songs
from audiomae.similarity.rules import Picker, SongRules
from audiomae.vectors.similar import SimilarSong

__all__ = ["choose_songs", "find_similar", "rank_similar"]


def find_similar(
    collection: Collection,
    like: Sequence[str],
    unlike: Sequence[str] = (),
    *,
    rules: SongRules | None = None,
    by: Mapping[str, float] | None = None,
    hubs: bool = True,
) -> list[SimilarSong]:
    """Return the songs most like some, nearest first, without themselves.

    Args:
        collection: Where to look.
        like: Songs to start from: tracks (id, end of a path, title), audio files, playlists.
        unlike: Songs to stay away from, named so too.
        rules: What the list keeps to.
        by: Weight of each factor; the learned vector alone by default.
        hubs: Whether to correct for songs that are near to everything.

    Raises:
        DataError: If a song is unknown, or a tag or factor is not there.
        ConfigError: If a file is named and its model is not known.
    """
    liked, unliked = read_examples(collection, like), read_examples(collection, unlike, what="unlike")
    return rank_similar(collection, liked, unliked, rules=rules or SongRules(), by=by, hubs=hubs)


def rank_similar(
    collection: Collection,
    like: Examples,
    unlike: Examples,
    *,
    rules: SongRules,
    by: Mapping[str, float] | None = None,
    hubs: bool = True,
) -> list[SimilarSong]:
    """Do what `find_similar` does with examples that were read."""
    cosines, scores = score_songs(collection, like, unlike if len(unlike) else None, by=by, hubs=hubs)
    rows = choose_songs(collection, [*like.rows, *unlike.rows], rules, cosines, scores)
    return collection.songs(rows, cosines[rows], scores[rows])


def choose_songs(
    collection: Collection,
    asked: Sequence[int],
    rules: SongRules,
    cosines: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> list[int]:
    """Return the rows of a list, best first.

    Args:
        collection: The songs.
        asked: Rows that were asked about; they are not in the list.
        rules: What the list keeps to.
        cosines: Cosine of every song with what was asked about, (tracks,).
        scores: What songs are ordered by, (tracks,).
    """
    allowed = rules.allowed(collection)
    if rules.least is not None:
        allowed &= cosines >= rules.least
    allowed[list(asked)] = False
    picker = Picker(collection, rules, asked)
    picker.take_best(np.where(allowed, scores, -np.inf), rules.k)
    return picker.taken
