"""Why two songs are alike: by which factor, and at which seconds of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiomae.checks import require
from audiomae.errors import ConfigError
from audiomae.similarity.collection import LEARNED, Collection
from audiomae.vectors.parts import stack_vectors

__all__ = ["Moment", "SimilarityExplanation", "explain_similarity"]


@dataclass(frozen=True)
class Moment:
    """A clip of each song that are alike.

    Attributes:
        start_seconds: Where the clip begins in the first song.
        other_start_seconds: Where it begins in the second.
        cosine: How alike they are, in [-1, 1].
    """

    start_seconds: float
    other_start_seconds: float
    cosine: float


@dataclass(frozen=True)
class FactorShare:
    """How alike two songs are in one factor.

    Attributes:
        factor: Its name: learned, timbre, rhythm or harmony.
        cosine: How near they are in it, in [-1, 1].
        nearer_than: Share of the other songs that are less like the first in it than the second is, from 0 to 1.
    """

    factor: str
    cosine: float
    nearer_than: float


@dataclass(frozen=True)
class SimilarityExplanation:
    """Why two songs are alike.

    Attributes:
        one: Id of the first song.
        other: Id of the second.
        cosine: How near their vectors are.
        factors: How alike they are in each factor, the most telling first.
        moments: The clips that are most alike, best first, of different seconds of both.
        clip_seconds: Length of a clip.
    """

    one: str
    other: str
    cosine: float
    factors: list[FactorShare]
    moments: list[Moment]
    clip_seconds: float


def explain_similarity(
    collection: Collection, one: str, other: str, *, moments: int = 3
) -> SimilarityExplanation:
    """Say in what two songs of a collection are alike, and where.

    Args:
        collection: Where they are.
        one: First song: its id, end of its path, or title.
        other: Second song.
        moments: Pairs of clips to name, at most.

    Raises:
        DataError: If a song is unknown.
        ConfigError: If both are the same song.
    """
    require("moments", moments, least=0, most=100)
    first, second = collection.find(one), collection.find(other)
    if first == second:
        raise ConfigError(f"{one!r} and {other!r} are the same song; there is nothing to explain.")
    shares = []
    for name in collection.factors:
        space, known = collection.factor(name)
        if known[first] and known[second]:
            cosines = np.where(known, space.cosines(space.units[[first]])[0], -np.inf)
            others = np.delete(cosines, [first, second])
            below = float((others < cosines[second]).mean()) if len(others) else 0.0
            shares.append(FactorShare(name, round(float(cosines[second]), 6), round(below, 4)))
    learned = next(share.cosine for share in shares if share.factor == LEARNED)
    shares.sort(key=lambda share: -share.nearer_than)
    return SimilarityExplanation(
        collection.track_ids[first],
        collection.track_ids[second],
        learned,
        shares,
        _moments(collection, first, second, moments),
        float(collection.vectors.meta.get("clip_seconds") or 0.0),
    )


def _moments(collection: Collection, first: int, second: int, count: int) -> list[Moment]:
    space = collection.vectors.space
    tables = [collection.vectors.clips_of(row) for row in (first, second)]
    units = [space.project(stack_vectors(table["vector"])) for table in tables]
    starts = [table["start_seconds"].to_numpy() for table in tables]
    cosines, found = units[0] @ units[1].T, []
    for _ in range(min(count, *cosines.shape)):
        mine, theirs = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
        cosine = round(float(np.clip(cosines[mine, theirs], -1, 1)), 6)
        found.append(Moment(round(float(starts[0][mine]), 2), round(float(starts[1][theirs]), 2), cosine))
        cosines[mine, :] = cosines[:, theirs] = -np.inf
    return found
