"""What a baseline is: fitted on the training plays, it lists from a `Context`, the plays known at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.lists import Lister

__all__ = ["Baseline", "Context", "Fitted", "as_weights", "count_users", "weight_kinds"]


@dataclass(frozen=True)
class Context:
    """What is known when lists are made.

    Attributes:
        known: Plays so far; none at or after the moment judged from.
        users: Codes of the users that lists are asked for, ascending, (n,).
        until: That moment, seconds since 1970; None where plays carry no time.
    """

    known: Interactions
    users: NDArray[np.int64]
    until: int | None = None

    @cached_property
    def heard(self) -> csr_matrix:
        """Summed weights, users × tracks."""
        return self.known.pairs()

    @cached_property
    def knows(self) -> NDArray[np.bool_]:
        """Whether a user has any known play, (users,)."""
        some: NDArray[np.bool_] = np.diff(self.heard.indptr) > 0
        return some


Fitted = Callable[[Context], Lister]


class Baseline(Protocol):
    """Something to compare with."""

    name: str

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """Values to try of each parameter, the default first."""

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """Fit on the training plays it was made with; what comes back lists from any context."""


def as_weights(pairs: csr_matrix, kind: str) -> csr_matrix:
    """Return the summed weights of pairs as 1 each ("binary") or log(1 + weight) ("log"), float32."""
    result = pairs.astype(np.float32)
    result.data = np.ones_like(result.data) if kind == "binary" else np.log1p(result.data)
    return result


def weight_kinds(pairs: csr_matrix) -> tuple[str, ...]:
    """Return the kinds of `as_weights` that differ: one where all weights are alike."""
    alike = not pairs.nnz or float(pairs.data.min()) == float(pairs.data.max())
    return ("binary",) if alike else ("binary", "log")


def count_users(interactions: Interactions) -> NDArray[np.int64]:
    """Return how many different users played each track, (tracks,)."""
    tracks = max(len(interactions.track_ids), 1)
    keys = np.unique(interactions.users.astype(np.int64) * tracks + interactions.tracks)
    return np.bincount(keys % tracks, minlength=len(interactions.track_ids)).astype(np.int64)
