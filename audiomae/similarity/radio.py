"""A radio: songs that go on from some examples for as long as anybody listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.similarity.collection import Collection
from audiomae.similarity.query import Examples, read_examples, score_songs
from audiomae.similarity.rules import Picker, SongRules
from audiomae.vectors.similar import SimilarSong

__all__ = ["play_radio"]

RECENT = 3
"""Songs just played that pull the next one after them."""
DRIFT = 0.35
"""Weight of those beside 1 for the examples, at diversity 1."""
APART = 3
"""Songs between two of one artist, at least, where there are others."""
WIDTH = 2.0
"""Deviations of score that a song may lie below the best at diversity 1, and still be played every third time or so."""


def play_radio(
    collection: Collection,
    like: Sequence[str],
    unlike: Sequence[str] = (),
    *,
    k: int = 20,
    diversity: float = 0.3,
    seed: int = 0,
    after: Sequence[str] = (),
    rules: SongRules | None = None,
) -> list[SimilarSong]:
    """Return the next songs of a radio; none comes twice, and the same seed plays the same.

    The next song is drawn from those near to the examples and, a little, to what was just played. The draw adds noise
    to the scores (Gumbel), which is drawing by their exponential; an artist rests for three songs.

    Args:
        collection: Where the songs are.
        like: Songs to start from: tracks, audio files, playlists.
        unlike: Songs to stay away from.
        k: Songs to play now; the rest of the collection where fewer are left.
        diversity: From 0, always the nearest that is left, to 1, far afield.
        seed: Which of the many radios.
        after: Songs that were played before, in order; they do not come again, and the radio goes on from them to the
            same songs as if it had not stopped.
        rules: What the songs keep to; artists and albums are counted over the whole radio.

    Raises:
        DataError: If a song is unknown.
        ConfigError: If a number is out of range.
    """
    require("k", k, least=1)
    require("diversity", diversity, least=0, most=1)
    rules = replace(rules or SongRules(), k=k)
    liked, unliked = read_examples(collection, like), read_examples(collection, unlike, what="unlike")
    played = [collection.find(name) for name in after]
    cosines, home = score_songs(collection, liked, unliked if len(unliked) else None)
    allowed = rules.allowed(collection)
    if rules.least is not None:
        allowed &= cosines >= rules.least
    asked = [*liked.rows, *unliked.rows]
    allowed[[*asked, *played]] = False
    picker = Picker(collection, rules, asked)
    for row in played:
        picker.take(row)
    order = list(played)
    while len(order) < len(played) + k and allowed.any():
        scores = home
        if diversity and order:
            recent = Examples(order[-RECENT:], [], [])
            scores = home + DRIFT * diversity * score_songs(collection, recent)[1]
        noise = np.random.default_rng([seed, len(order)]).gumbel(size=len(collection))
        drawn = np.where(allowed, scores + WIDTH * diversity / 2 * _usual(home) * noise, -np.inf)
        chosen = _next(collection, picker, drawn, order)
        if chosen is None:
            break
        order.append(chosen)
        allowed[chosen] = False
    new = order[len(played) :]
    return collection.songs(new, cosines[new], home[new])


def _usual(scores: NDArray[np.float32]) -> float:
    """Return the deviation of scores: 1 or so where hubs are corrected, less where they are cosines."""
    return float(scores.std())


def _next(
    collection: Collection,
    picker: Picker,
    drawn: NDArray[np.floating],
    order: list[int],
) -> int | None:
    """Take the best song that the rules allow, of an artist that has rested where there is one."""
    resting = {collection.artists[row] for row in order[-APART:]} - {""}
    best = np.argsort(-drawn, kind="stable")[: int(np.isfinite(drawn).sum())].tolist()
    rested = [row for row in best[:512] if collection.artists[row] not in resting]
    for row in [*rested, *best]:
        if picker.take(row):
            return int(row)
    return None
