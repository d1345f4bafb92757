"""iALS and BPR, by implicit: the factorisations that a tower must stand beside.

Source: Hu, Koren & Volinsky 2008; Rendle et al. 2009; https://github.com/benfred/implicit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from audiomae.recommend.evaluation.baselines.baseline import Context, Fitted, as_weights, weight_kinds
from audiomae.recommend.evaluation.baselines.popularity import Popularity
from audiomae.recommend.evaluation.lists import BlockLister, DotScorer, FallbackLister, Lister

__all__ = ["Bpr", "Ials", "implicit_is_there"]


def implicit_is_there() -> bool:
    """Return whether implicit (extra `bench`) is installed."""
    return find_spec("implicit") is not None


class Ials:
    """Alternating least squares on confidences 1 or log(1 + weight), times alpha.

    A user's vector is worked out anew from their known plays. It lists tracks played in training only; users of no
    known play get the popularity list.

    Args:
        train: Summed weights, users × tracks.
        seed: Key of the first vectors.
        threads: CPU threads.
    """

    name = "iALS"

    def __init__(self, train: csr_matrix, *, seed: int = 0, threads: int = 1) -> None:
        self._train, self._seed, self._threads = train, seed, threads

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {
            "factors": (64, 16, 32, 128),
            "regularization": (0.1, 0.01, 1.0, 10.0, 30.0, 100.0),
            "alpha": (1.0, 0.3, 3.0, 10.0, 40.0),
            "weights": weight_kinds(self._train),
            "iterations": (15, 5),
        }

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """See `Baseline.fit`."""
        from implicit.als import AlternatingLeastSquares

        settings = {name: value for name, value in parameters.items() if name != "weights"}
        with _one_blas_thread():
            model = AlternatingLeastSquares(
                **settings, num_threads=self._threads, random_state=self._seed, use_gpu=False
            )
            model.fit(as_weights(self._train, parameters["weights"]), show_progress=False)
        listed = _columns_played(self._train)

        def lister(now: Context) -> Lister:
            users = now.users[now.knows[now.users]]
            mine = as_weights(now.heard, parameters["weights"])[users]
            with _one_blas_thread():
                vectors = model.recalculate_user(users, mine)
            scorer = DotScorer(users, vectors, model.item_factors, listed=listed)
            return FallbackLister(
                BlockLister(self.name, scorer, now.heard), Popularity().fit({})(now), now.knows
            )

        return lister


class Bpr:
    """Bayesian personalised ranking.

    It lists tracks played in training only; users without a play in training get the popularity list.

    Args:
        train: Summed weights, users × tracks.
        seed: Key of the first vectors and of the draws; with one thread it repeats itself.
        threads: CPU threads.
    """

    name = "BPR"

    def __init__(self, train: csr_matrix, *, seed: int = 0, threads: int = 1) -> None:
        self._train, self._seed, self._threads = train, seed, threads

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {
            "factors": (64, 8, 16, 32, 128),
            "learning_rate": (0.05, 0.003, 0.01, 0.1),
            "regularization": (0.01, 0.0001, 0.001, 0.05),
            "iterations": (100, 30, 300),
        }

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """See `Baseline.fit`."""
        from implicit.bpr import BayesianPersonalizedRanking

        with _one_blas_thread():
            model = BayesianPersonalizedRanking(
                **parameters, num_threads=self._threads, random_state=self._seed, use_gpu=False
            )
            model.fit(as_weights(self._train, "binary"), show_progress=False)
        listed = _columns_played(self._train)
        trained = np.diff(self._train.indptr) > 0

        def lister(now: Context) -> Lister:
            users = np.arange(len(model.user_factors))
            scorer = DotScorer(users, model.user_factors, model.item_factors, listed=listed)
            return FallbackLister(
                BlockLister(self.name, scorer, now.heard), Popularity().fit({})(now), trained
            )

        return lister


def _columns_played(pairs: csr_matrix) -> NDArray[np.bool_]:
    played: NDArray[np.bool_] = np.bincount(pairs.indices, minlength=pairs.shape[1]) > 0
    return played


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread, as implicit asks, and its warning about it silent."""
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="OpenBLAS is configured to use", category=RuntimeWarning)
        yield
