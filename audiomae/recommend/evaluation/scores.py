"""How good the lists of a system are: measures of each user, and their means with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.evaluation.baselines.baseline import Context, Fitted
from audiomae.recommend.evaluation.bootstrap import Interval, bootstrap_means, interval_of
from audiomae.recommend.evaluation.data import EvaluationData
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
from audiomae.recommend.evaluation.results import Measure, PartResult

__all__ = ["SystemScores", "score_fits", "score_system", "summarise"]

AMONG = " among themselves"


@dataclass(frozen=True)
class SystemScores:
    """How one system did.

    Attributes:
        scores: Part → measure → one number a user of the part; parts "... among themselves" are ranked among the
            items of the group alone.
        lists: Coverage, Gini, novelty, artist diversity, popularity and its bias, at each k.
    """

    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    lists: Mapping[str, float] = field(default_factory=dict)


def score_system(lister: Lister, data: EvaluationData) -> SystemScores:
    """List for every user of the data and score the lists; only the scores are kept."""
    longest, truth = data.ks[-1], data.parts["all"]
    lists = lister.top(truth.users, longest)
    scores = {}
    for name, part in data.parts.items():
        rows = np.searchsorted(truth.users, part.users)
        scores[name] = score_lists(lists[rows], part, data.ks)
        if name in data.groups:
            alone = lister.top(part.users, longest, data.groups[name])
            scores[name + AMONG] = score_lists(alone, part, data.ks)
    percentiles = popularity_percentiles(data.played_by)
    consumed = float(percentiles[truth.items].mean())
    about: dict[str, float] = {}
    for k in data.ks:
        first = lists[:, :k]
        listed = first[first >= 0]
        popularity = float(percentiles[listed].mean()) if len(listed) else 0.0
        about |= {
            f"coverage@{k}": coverage(first, truth.catalogue),
            f"gini@{k}": gini(first, truth.catalogue),
            f"novelty@{k}": novelty(first, data.played_by),
            f"artist_diversity@{k}": artist_diversity(first, data.artists),
            f"popularity@{k}": popularity,
            f"popularity_bias@{k}": popularity - consumed,
            f"listed@{k}": float((first >= 0).sum(axis=1).mean()),
        }
    return SystemScores(scores, about)


def score_fits(
    data: EvaluationData, *, measure: str, most_users: int, seed: int
) -> Callable[[Fitted], float]:
    """Return what scores a fitted baseline on validation data, over at most so many users."""
    truth = data.parts["all"]
    if len(truth.users) > most_users:
        drawn = np.sort(np.random.default_rng(seed).choice(len(truth.users), most_users, replace=False))
        chosen = np.isin(np.repeat(truth.users, truth.counts), truth.users[drawn])
        users = np.repeat(truth.users, truth.counts)
        truth = Truth.of_pairs(users[chosen], truth.items[chosen], truth.catalogue)
    k = int(measure.rpartition("@")[2])
    now = Context(data.now.known, truth.users, data.now.until)

    def score(fitted: Fitted) -> float:
        lists = fitted(now).top(truth.users, k)
        return float(score_lists(lists, truth, [k])[measure].mean())

    return score


def summarise(
    systems: Mapping[str, Sequence[SystemScores]], first: str, *, draws: int, seed: int
) -> dict[str, PartResult]:
    """Return what each part of the users and items says of each system, and of `first` against the others.

    Args:
        systems: The seeds of training of each system; at least one.
        first: The system that the others are taken from.
        draws: Bootstrap draws of users (and of seeds, where a system has several).
        seed: Key of the draws.
    """
    result: dict[str, PartResult] = {}
    for part in _bootstrap_parts(systems, draws, seed):
        found: dict[str, dict[str, Measure]] = {name: {} for name in systems}
        gaps: dict[str, dict[str, Interval]] = {name: {} for name in systems if name != first}
        for (name, measure), values in part.scores.items():
            of_seeds, drawn = values.mean(axis=1), part.means[name, measure]
            deviation = float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None
            one = interval_of(float(values.mean()), drawn)
            found[name][measure] = Measure(one.mean, one.low, one.high, deviation)
            if name != first:
                gap = float(part.scores[first, measure].mean() - values.mean())
                gaps[name][measure] = interval_of(gap, part.means[first, measure] - drawn)
        users = next(iter(part.scores.values())).shape[1]
        result[part.name] = PartResult(users, found, gaps)
    return result


Keyed = dict[tuple[str, str], NDArray[np.float64]]


class _Part(NamedTuple):
    """A part with its bootstrap."""

    name: str
    scores: Keyed
    """(system, measure) → (seeds, users)."""
    means: Keyed
    """(system, measure) → (draws,)."""


def _bootstrap_parts(systems: Mapping[str, Sequence[SystemScores]], draws: int, seed: int) -> list[_Part]:
    one = next(iter(systems.values()))[0]
    found = []
    for part, measures in one.scores.items():
        stacked = {
            (name, measure): np.stack([seed.scores[part][measure] for seed in seeds])
            for name, seeds in systems.items()
            for measure in measures
        }
        drawn = bootstrap_means(list(stacked.values()), draws, np.random.default_rng([seed, 1]))
        found.append(_Part(part, stacked, dict(zip(stacked, drawn, strict=True))))
    return found
