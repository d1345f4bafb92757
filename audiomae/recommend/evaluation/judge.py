"""Judging recommenders by what was played later: over the full catalogue, in parts, beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.popularity import Fitted, Situation, count_listeners
from audiomae.recommend.evaluation.bootstrap import bootstrap_means, interval_of
from audiomae.recommend.evaluation.lists import Lister
from audiomae.recommend.evaluation.metrics import (
    Truth,
    artist_diversity,
    coverage,
    gini,
    novelty,
    popularity_percentiles,
    score_lists,
)

__all__ = [
    "Ground",
    "Judged",
    "find_truth",
    "judge",
    "lay_ground",
    "summarise",
    "validation_judge",
]

GROUPS = ("warm tracks", "cold tracks", "cold artists")
AMONG = " among themselves"


@dataclass(frozen=True)
class Ground:
    """What lists are judged by.

    Attributes:
        now: What is known when the lists are made, and for whom.
        parts: Which items count for which users: "all", "warm users", "cold users", "warm tracks", "cold tracks",
            "cold artists"; parts without a play are not there.
        groups: Items of the last three, boolean (items,).
        listeners: Known listeners of each item, (items,).
        artists: Artist code of each item, -1 unknown, (items,).
        ks: List lengths to judge, ascending.
    """

    now: Situation
    parts: Mapping[str, Truth]
    groups: Mapping[str, NDArray[np.bool_]]
    listeners: NDArray[np.int64]
    artists: NDArray[np.int64]
    ks: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """How one system did.

    Attributes:
        scores: Part → measure → one number a user of the part; parts "... among themselves" are ranked among the
            items of the group alone.
        lists: Coverage, Gini, novelty, artist diversity, popularity and its bias, at each k.
    """

    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    lists: Mapping[str, float] = field(default_factory=dict)


def find_truth(later: Interactions, known: Interactions) -> Truth:
    """Return the tracks that users play later and have not played before; aligned alike."""
    tracks = max(len(known.track_ids), 1)
    before = np.unique(known.users.astype(np.int64) * tracks + known.tracks)
    keys = later.users.astype(np.int64) * tracks + later.tracks
    new = ~np.isin(keys, before)
    return Truth.of_pairs(later.users[new], later.tracks[new], len(known.track_ids))


def lay_ground(
    train: Interactions,
    known: Interactions,
    later: Interactions,
    artists: NDArray[np.int64],
    *,
    until: int | None,
    ks: Sequence[int],
) -> Ground:
    """Say what is to be found, and in which parts.

    Args:
        train: Plays the systems were fitted on: tracks, artists and users in it are warm.
        known: Plays known when the lists are made: train and what came between.
        later: Plays to be found.
        artists: Artist code of each track, -1 unknown; such a track is a cold track, never a cold artist's.
        until: First second of `later`, if plays carry time.
        ks: List lengths.
    """
    truth = find_truth(later, known)
    warm = np.zeros(len(artists), np.bool_)
    warm[train.tracks] = True
    known_artist = (artists < 0) | np.isin(artists, np.unique(artists[warm]))
    groups = dict(zip(GROUPS, (warm, ~warm & known_artist, ~warm & ~known_artist), strict=True))
    parts = {"all": truth}
    warm_users = np.isin(truth.users, np.unique(train.users))
    owners = np.repeat(warm_users, truth.counts)
    users = np.repeat(truth.users, truth.counts)
    for name, mask in (("warm users", owners), ("cold users", ~owners)):
        parts[name] = Truth.of_pairs(users[mask], truth.items[mask], truth.catalogue)
    for name, items in groups.items():
        parts[name] = truth.among(items)
    return Ground(
        Situation(known, truth.users, until),
        {name: part for name, part in parts.items() if len(part.users)},
        groups,
        count_listeners(known),
        artists,
        tuple(sorted(ks)),
    )


def judge(lister: Lister, ground: Ground) -> Judged:
    """List for every user of the ground and score the lists; only the scores are kept."""
    longest, truth = ground.ks[-1], ground.parts["all"]
    lists = lister.top(truth.users, longest)
    scores = {}
    for name, part in ground.parts.items():
        rows = np.searchsorted(truth.users, part.users)
        scores[name] = score_lists(lists[rows], part, ground.ks)
        if name in ground.groups:
            alone = lister.top(part.users, longest, ground.groups[name])
            scores[name + AMONG] = score_lists(alone, part, ground.ks)
    percentiles = popularity_percentiles(ground.listeners)
    consumed = float(percentiles[truth.items].mean())
    about: dict[str, float] = {}
    for k in ground.ks:
        first = lists[:, :k]
        listed = first[first >= 0]
        popularity = float(percentiles[listed].mean()) if len(listed) else 0.0
        about |= {
            f"coverage@{k}": coverage(first, truth.catalogue),
            f"gini@{k}": gini(first, truth.catalogue),
            f"novelty@{k}": novelty(first, ground.listeners),
            f"artist_diversity@{k}": artist_diversity(first, ground.artists),
            f"popularity@{k}": popularity,
            f"popularity_bias@{k}": popularity - consumed,
            f"listed@{k}": float((first >= 0).sum(axis=1).mean()),
        }
    return Judged(scores, about)


def validation_judge(
    ground: Ground, *, measure: str, most_users: int, seed: int
) -> Callable[[Fitted], float]:
    """Return what scores a fitted baseline on a validation ground, over at most so many users."""
    truth = ground.parts["all"]
    if len(truth.users) > most_users:
        drawn = np.sort(np.random.default_rng(seed).choice(len(truth.users), most_users, replace=False))
        chosen = np.isin(np.repeat(truth.users, truth.counts), truth.users[drawn])
        users = np.repeat(truth.users, truth.counts)
        truth = Truth.of_pairs(users[chosen], truth.items[chosen], truth.catalogue)
    k = int(measure.rpartition("@")[2])
    now = Situation(ground.now.known, truth.users, ground.now.until)

    def score(fitted: Fitted) -> float:
        lists = fitted(now).top(truth.users, k)
        return float(score_lists(lists, truth, [k])[measure].mean())

    return score


def summarise(
    systems: Mapping[str, Sequence[Judged]], first: str, *, draws: int, seed: int
) -> dict[str, Any]:
    """Return what each part of the users and items says of each system, and of `first` against the others.

    Args:
        systems: The seeds of training of each system; at least one.
        first: The system that the others are taken from.
        draws: Bootstrap draws of users (and of seeds, where a system has several).
        seed: Key of the draws.

    Returns:
        Part → users (their number); systems → name → measure → mean, low, high and deviation_over_seeds (None of
        one seed); differences → name → measure → `first` minus it: mean, low, high, paired over users.
    """
    result: dict[str, Any] = {}
    for part, stacked, means in _bootstrap_parts(systems, draws, seed):
        found: dict[str, dict[str, Any]] = {name: {} for name in systems}
        gaps: dict[str, dict[str, Any]] = {name: {} for name in systems if name != first}
        for (name, measure), values in stacked.items():
            of_seeds, drawn = values.mean(axis=1), means[name, measure]
            deviation = float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None
            said = asdict(interval_of(float(values.mean()), drawn))
            found[name][measure] = {**said, "deviation_over_seeds": deviation}
            if name != first:
                gap = float(stacked[first, measure].mean() - values.mean())
                gaps[name][measure] = asdict(interval_of(gap, means[first, measure] - drawn))
        users = next(iter(stacked.values())).shape[1]
        result[part] = {"users": users, "systems": found, "differences": gaps}
    return result


Keyed = dict[tuple[str, str], NDArray[np.float64]]


def _bootstrap_parts(
    systems: Mapping[str, Sequence[Judged]], draws: int, seed: int
) -> list[tuple[str, Keyed, Keyed]]:
    """Return, for each part, the scores (seeds, users) and the means (draws,) of each (system, measure)."""
    one = next(iter(systems.values()))[0]
    found = []
    for part, measures in one.scores.items():
        stacked = {
            (name, measure): np.stack([seed.scores[part][measure] for seed in seeds])
            for name, seeds in systems.items()
            for measure in measures
        }
        drawn = bootstrap_means(list(stacked.values()), draws, np.random.default_rng([seed, 1]))
        found.append((part, stacked, dict(zip(stacked, drawn, strict=True))))
    return found
