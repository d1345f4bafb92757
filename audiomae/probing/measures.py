"""How much a frozen vector tells: linear probe, nearest neighbours, same-track retrieval, with intervals.

Every measure returns a hit or a miss for each clip, so that intervals and paired differences have one source.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from audiomae.errors import DataError
from audiomae.model.whitening import Whitening
from audiomae.vectors.search import Standardiser, nearest

__all__ = ["Score", "bootstrap", "draw_folds", "probe_linear", "probe_neighbours", "retrieve_track"]

Vectors = NDArray[np.float32]
Strings = NDArray[np.str_]
Hits = NDArray[np.bool_]


class Score(NamedTuple):
    """A share of hits, or a difference of two, with its interval."""

    score: float
    low: float
    high: float


def draw_folds(labels: Strings, groups: Strings, *, folds: int, seed: int) -> NDArray[np.int64]:
    """Give every clip a fold so that no group lies in two and every fold has about the same labels.

    Args:
        labels: (clips,)
        groups: (clips,)
        folds: Folds to draw; fewer where there are fewer groups, or no label has as many clips.
        seed: Key of the draw.

    Raises:
        DataError: If there are fewer than two groups, or no label has two clips.
    """
    most = int(np.unique(labels, return_counts=True)[1].max())
    folds = min(folds, len(set(groups.tolist())), most)
    if most < 2:
        raise DataError("folds need a label with two clips or more; every label has 1. Label more clips.")
    if folds < 2:
        raise DataError("folds need clips of two groups (tracks) or more; there is 1. Label more tracks.")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    out = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        # A class with fewer clips than folds is fine here: some folds then have none of it.
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, held) in enumerate(splitter.split(labels, labels, groups)):
            out[held] = number
    return out


def probe_linear(
    vectors: Vectors, labels: Strings, folds: NDArray[np.int64], *, inverse_penalty: float = 0.01
) -> Hits:
    """Logistic regression on standardised vectors: fitted on the other folds, asked on each.

    Args:
        vectors: (clips, d)
        labels: (clips,)
        folds: (clips,)
        inverse_penalty: `C` of scikit-learn's LogisticRegression.

    Returns:
        True where the label was named rightly, (clips,).
    """
    hits = np.zeros(len(labels), np.bool_)
    for fold in np.unique(folds):
        held = folds == fold
        if len(set(labels[~held].tolist())) < 2:
            hits[held] = labels[held] == labels[~held][0]
            continue
        scaler = StandardScaler().fit(vectors[~held])
        regression = LogisticRegression(C=inverse_penalty, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(scaler.transform(vectors[~held]), labels[~held])
        hits[held] = regression.predict(scaler.transform(vectors[held])) == labels[held]
    return hits


def probe_neighbours(vectors: Vectors, labels: Strings, folds: NDArray[np.int64], *, k: int = 5) -> Hits:
    """Majority among the k nearest clips (cosine, standardised) of the other folds; the nearest breaks ties.

    Returns:
        True where the label was named rightly, (clips,).
    """
    hits = np.zeros(len(labels), np.bool_)
    for fold in np.unique(folds):
        held = np.flatnonzero(folds == fold)
        known = np.flatnonzero(folds != fold)
        scale = Standardiser.fit(vectors[known])
        rows = nearest(scale(vectors[known]), scale(vectors[held]), k).rows
        for clip, found in zip(held, labels[known][rows], strict=True):
            names, first, counts = np.unique(found, return_index=True, return_counts=True)
            best = min(range(len(names)), key=lambda i: (-counts[i], first[i]))
            hits[clip] = names[best] == labels[clip]
    return hits


def retrieve_track(vectors: Vectors, tracks: Strings, *, whiten: int = 0) -> Hits:
    """Ask of every clip whether its nearest other clip (cosine) is of the same track.

    Args:
        vectors: (clips, d)
        tracks: (clips,)
        whiten: Dimensions of a PCA whitening fitted on these vectors, without labels, fewer where they
            differ in fewer directions; 0 only standardises.

    Returns:
        True where the nearest is of the same track, (clips,). A clip whose track has no other is a miss.
    """
    if whiten:
        dims = min(whiten, max(1, vectors.shape[1] - 1), len(vectors) - 1)
        ready = Whitening.fit(vectors, dims, at_most=True).transform(vectors)
    else:
        ready = Standardiser.fit(vectors)(vectors)
    rows = nearest(ready, ready, 1, without=range(len(tracks))).rows[:, 0]
    return np.asarray(tracks[rows] == tracks)


def bootstrap(
    hits: NDArray[np.bool_] | NDArray[np.int64],
    groups: Strings,
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> Score:
    """Share of hits, with an interval from drawing whole groups again and again.

    The same seed and groups draw the same groups, so the difference of two measures' hits (-1, 0, 1) gives a
    paired interval.

    Args:
        hits: (clips,)
        groups: Clips of one group (track) are drawn together, (clips,).
        resamples: Draws.
        seed: Key of the draws.
        level: Share of the draws inside the interval.
    """
    _, member = np.unique(groups, return_inverse=True)
    counts = np.bincount(member).astype(np.float64)
    sums = np.bincount(member, weights=hits.astype(np.float64))
    score = float(hits.mean())
    if resamples < 1:
        return Score(score, score, score)
    generator = np.random.default_rng(seed)
    shares = np.empty(resamples)
    for number in range(resamples):
        drawn = generator.integers(0, len(counts), len(counts))
        shares[number] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(shares, ((1 - level) / 2, (1 + level) / 2))
    return Score(score, float(low), float(high))
