"""Why a song is in a user's list: the songs he heard that are nearest to it, and what its score is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.catalogue.index import Found
from audiomae.recommend.ranking.features import FEATURES, describe_candidates
from audiomae.recommend.serving.recommender import Recommender
from audiomae.recommend.serving.users import Listeners

__all__ = ["explain_score", "nearest_heard", "place_of"]


def nearest_heard(
    recommender: Recommender, listeners: Listeners, row: int, most: int = 5
) -> list[tuple[int, float]]:
    """Return the heard songs nearest to an item, best first.

    Args:
        recommender: An open recommender.
        listeners: One user.
        row: The item.
        most: Songs to return at most.

    Returns:
        Row and cosine in the towers' space, of each; not of the item itself. Equal cosines go to the smaller id.
    """
    unit, heard = recommender.catalogue.unit, listeners.heard[0]
    heard = heard[heard != row]
    cosines = np.einsum("ij,j->i", unit[heard].astype(np.float64), unit[row].astype(np.float64))
    order = np.lexsort((heard, -cosines))[:most]
    return [(int(heard[place]), float(cosines[place])) for place in order]


def explain_score(recommender: Recommender, listeners: Listeners, row: int) -> dict[str, Any]:
    """Take one score apart.

    Every part is measured against the catalogue's mean, as an addend that all songs share orders nothing. With a
    ranker its score is taken apart by TreeSHAP: what it makes of the retrieval score is divided between cosine and
    popularity as they make it up, its own cosine and popularity go to these two, and the rest is `ranker`.

    Args:
        recommender: An open recommender.
        listeners: One user.
        row: The item.

    Returns:
        cosine, retrieval (scale * cosine + gamma * log q), parts, shares (their sizes, summing to 1), and with a
        ranker its score and `features`: value and contribution of each.
    """
    catalogue, index = recommender.catalogue, recommender.index
    vector = listeners.vectors[0].astype(np.float64)
    cosine = float(catalogue.unit[row].astype(np.float64) @ vector)
    mean = float(catalogue.unit.mean(axis=0, dtype=np.float64) @ vector)
    prior = catalogue.log_prior.astype(np.float64)
    parts = {
        "cosine": index.scale * (cosine - mean),
        "popularity": index.gamma * float(prior[row] - prior.mean()),
        "ranker": 0.0,
    }
    retrieval = index.scale * cosine + index.gamma * float(prior[row])
    about: dict[str, Any] = {"cosine": cosine, "retrieval": retrieval}
    if recommender.ranker is not None:
        table = describe_candidates(
            recommender.items, listeners.known[0], np.array([row]), np.array([retrieval])
        )
        added = recommender.ranker.contributions(table)[0]
        parts = _divide(dict(zip(FEATURES, added.tolist(), strict=True)), parts)
        about["ranker"] = float(recommender.ranker.score(table)[0])
        about["features"] = {
            name: {"value": None if np.isnan(value) else float(value), "adds": float(addend)}
            for name, value, addend in zip(FEATURES, table[0], added, strict=True)
        }
    sizes = {name: abs(value) for name, value in parts.items()}
    total = sum(sizes.values())
    shares = {name: size / total if total else 0.0 for name, size in sizes.items()}
    return {**about, "parts": parts, "shares": shares}


def place_of(found: Found, row: int) -> int | None:
    """Return the place of an item in one user's list, 1 for the first; None where it is not in it."""
    places: NDArray[np.int64] = np.flatnonzero(found.rows[0] == row)
    return int(places[0]) + 1 if len(places) else None


def _divide(added: dict[str, float], parts: dict[str, float]) -> dict[str, float]:
    """Bring TreeSHAP values of the features together as cosine, popularity and the rest."""
    both = abs(parts["cosine"]) + abs(parts["popularity"])
    share = abs(parts["cosine"]) / both if both else 1.0
    retrieval = added["retrieval"]
    others = sum(value for name, value in added.items() if name not in ("retrieval", "cosine", "popularity"))
    return {
        "cosine": added["cosine"] + share * retrieval,
        "popularity": added["popularity"] + (1 - share) * retrieval,
        "ranker": others,
    }
