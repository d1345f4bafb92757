"""What an evaluation judges by: which plays are to be found, for which users, among which tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.baseline import Context, count_users
from audiomae.recommend.evaluation.metrics import Truth

__all__ = ["EvaluationData", "prepare_data"]

GROUPS = ("warm tracks", "cold tracks", "cold artists")


@dataclass(frozen=True)
class EvaluationData:
    """What lists are judged by.

    Attributes:
        now: What is known when the lists are made, and for whom.
        parts: Which items count for which users: "all", "warm users", "cold users", "warm tracks", "cold tracks",
            "cold artists"; parts without a play are not there.
        groups: Items of the last three, boolean (items,).
        played_by: How many users are known to have played each item, (items,).
        artists: Artist code of each item, -1 unknown, (items,).
        ks: List lengths to judge, ascending.
    """

    now: Context
    parts: Mapping[str, Truth]
    groups: Mapping[str, NDArray[np.bool_]]
    played_by: NDArray[np.int64]
    artists: NDArray[np.int64]
    ks: tuple[int, ...]


def find_truth(later: Interactions, known: Interactions) -> Truth:
    """Return the tracks that users play later and have not played before; aligned alike."""
    tracks = max(len(known.track_ids), 1)
    before = np.unique(known.users.astype(np.int64) * tracks + known.tracks)
    keys = later.users.astype(np.int64) * tracks + later.tracks
    new = ~np.isin(keys, before)
    return Truth.of_pairs(later.users[new], later.tracks[new], len(known.track_ids))


def prepare_data(
    train: Interactions,
    known: Interactions,
    later: Interactions,
    artists: NDArray[np.int64],
    *,
    until: int | None,
    ks: Sequence[int],
) -> EvaluationData:
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
    return EvaluationData(
        Context(known, truth.users, until),
        {name: part for name, part in parts.items() if len(part.users)},
        groups,
        count_users(known),
        artists,
        tuple(sorted(ks)),
    )
