"""Why a song is in a user's list: the songs they heard that are nearest to it, and what its score is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.recommend.catalogue.index import Found
from audiomae.recommend.ranking.features import FEATURES, describe_candidates
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.users import Users

__all__ = ["Explanation", "FeaturePart", "HeardSong", "NamedSong", "Parts", "Score", "explain_song"]

_CANDIDATES = 200


@dataclass(frozen=True)
class NamedSong:
    """A song by id and tags, empty where unknown."""

    track_id: str
    title: str
    artist: str
    path: str


@dataclass(frozen=True)
class HeardSong(NamedSong):
    """A song that the user has heard; `cosine` says how near it is to the explained one, in [-1, 1]."""

    cosine: float


@dataclass(frozen=True)
class Parts:
    """A number for each of the things a score is made of."""

    cosine: float
    """How near the song is to the user."""
    popularity: float
    """How often it was played."""
    ranker: float
    """What the ranker sees beside these two; 0 without a ranker."""


@dataclass(frozen=True)
class FeaturePart:
    """What the ranker saw in a feature, None where unknown, and what it added to the score."""

    value: float | None
    adds: float


@dataclass(frozen=True)
class Score:
    """A score taken apart.

    Attributes:
        cosine: Cosine of user and song in the towers' space.
        retrieval: scale · cosine + γ · log q.
        parts: What each part adds, against the catalogue's mean.
        shares: Sizes of the parts, summing to 1.
        ranker: The ranker's score; None where no ranker orders the list.
        features: What each of its features adds; None without.
    """

    cosine: float
    retrieval: float
    parts: Parts
    shares: Parts
    ranker: float | None
    features: dict[str, FeaturePart] | None


@dataclass(frozen=True)
class Explanation(Score):
    """Why a song stands where it stands for one user, beside what `Score` says.

    Attributes:
        user: Their id; "new" for one who has none.
        track: The song.
        heard: Whether they have heard it, so that no list holds it.
        place: Its place in their list, were it not heard; None where it is not among the first candidates.
        place_of_retrieval: Its place before the ranker.
        items: Songs of the catalogue.
        nearest_heard: The heard songs nearest to it, nearest first.
    """

    user: str
    track: NamedSong
    heard: bool
    place: int | None
    place_of_retrieval: int | None
    items: int
    nearest_heard: list[HeardSong]


def explain_song(engine: Engine, users: Users, row: int, *, nearest: int = 5) -> Explanation:
    """Explain one song to one user.

    Args:
        engine: The two stages.
        users: One user.
        row: The song's row in the catalogue.
        nearest: Heard songs to name.

    Raises:
        ConfigError: If `nearest` is below 1.
    """
    require("nearest", nearest, least=1)
    heard = users.heard[0]
    found = engine.retrieve_candidates(users._replace(heard=[heard[heard != row]]), _CANDIDATES)
    near = nearest_heard(engine, users, row, nearest)
    return Explanation(
        **vars(explain_score(engine, users, row)),
        user=users.names[0],
        track=NamedSong(**_tags(engine, row)),
        heard=bool((heard == row).any()),
        place=place_of(engine.rank(users, found), row),
        place_of_retrieval=place_of(found, row),
        items=len(engine.catalogue),
        nearest_heard=[HeardSong(**_tags(engine, at), cosine=round(cosine, 6)) for at, cosine in near],
    )


def nearest_heard(engine: Engine, users: Users, row: int, most: int = 5) -> list[tuple[int, float]]:
    """Return the heard songs nearest to an item, best first.

    Args:
        engine: The two stages.
        users: One user.
        row: The item.
        most: Songs to return at most.

    Returns:
        Row and cosine in the towers' space, of each; not of the item itself. Equal cosines go to the smaller id.
    """
    unit, heard = engine.catalogue.unit, users.heard[0]
    heard = heard[heard != row]
    cosines = np.einsum("ij,j->i", unit[heard].astype(np.float64), unit[row].astype(np.float64))
    order = np.lexsort((heard, -cosines))[:most]
    return [(int(heard[place]), float(cosines[place])) for place in order]


def explain_score(engine: Engine, users: Users, row: int) -> Score:
    """Take one score apart.

    Every part is measured against the catalogue's mean, as an addend that all songs share orders nothing. With a
    ranker its score is taken apart by TreeSHAP: what it makes of the retrieval score is divided between cosine and
    popularity as they make it up, its own cosine and popularity go to these two, and the rest is `ranker`.

    Args:
        engine: The two stages.
        users: One user.
        row: The item.
    """
    catalogue, index = engine.catalogue, engine.index
    vector = users.vectors[0].astype(np.float64)
    cosine = float(catalogue.unit[row].astype(np.float64) @ vector)
    mean = float(catalogue.unit.mean(axis=0, dtype=np.float64) @ vector)
    prior = catalogue.log_prior.astype(np.float64)
    popularity = index.gamma * float(prior[row] - prior.mean())
    parts = Parts(index.scale * (cosine - mean), popularity, 0.0)
    retrieval = index.scale * cosine + index.gamma * float(prior[row])
    ranker = features = None
    if engine.ranker is not None:
        table = describe_candidates(engine.items, users.known[0], np.array([row]), np.array([retrieval]))
        added = engine.ranker.contributions(table)[0]
        parts = _divide(dict(zip(FEATURES, added.tolist(), strict=True)), parts)
        ranker = float(engine.ranker.score(table)[0])
        features = {
            name: FeaturePart(None if np.isnan(value) else float(value), float(addend))
            for name, value, addend in zip(FEATURES, table[0], added, strict=True)
        }
    sizes = {name: abs(value) for name, value in asdict(parts).items()}
    total = sum(sizes.values())
    shares = Parts(**{name: size / total if total else 0.0 for name, size in sizes.items()})
    return Score(cosine, retrieval, parts, shares, ranker, features)


def place_of(found: Found, row: int) -> int | None:
    """Return the place of an item in one user's list, 1 for the first; None where it is not in it."""
    places: NDArray[np.int64] = np.flatnonzero(found.rows[0] == row)
    return int(places[0]) + 1 if len(places) else None


def _tags(engine: Engine, row: int) -> dict[str, str]:
    items = engine.catalogue.items
    return {name: items[name][row].as_py() for name in ("track_id", "title", "artist", "path")}


def _divide(added: dict[str, float], parts: Parts) -> Parts:
    """Bring TreeSHAP values of the features together as cosine, popularity and the rest."""
    both = abs(parts.cosine) + abs(parts.popularity)
    share = abs(parts.cosine) / both if both else 1.0
    retrieval = added["retrieval"]
    others = sum(value for name, value in added.items() if name not in ("retrieval", "cosine", "popularity"))
    return Parts(added["cosine"] + share * retrieval, added["popularity"] + (1 - share) * retrieval, others)
