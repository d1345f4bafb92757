"""The second stage: trees that put a user's candidates in order (LightGBM, lambdarank).

`files.py` says how one lies on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require, require_all
from audiomae.disk.records import as_record
from audiomae.errors import DataError, FingerprintError, MissingError, reason_of
from audiomae.recommend.evaluation.metrics import ndcg
from audiomae.recommend.ranking.features import FEATURES, hide_plays
from audiomae.recommend.ranking.files import read_ranker_meta, read_trees, write_ranker

__all__ = [
    "LEAST_JUDGES",
    "Ranker",
    "RankerSettings",
    "RankingGroup",
    "fit_ranker",
    "need_lightgbm",
    "order_by",
]

SURE = 1.645
"""Standard errors by which the ranker must be better to be kept: 95 %, one-sided."""
LEAST_USERS = 10
"""Users with a found positive that training needs."""
LEAST_JUDGES = 20
"""Users that must judge a ranker before its order is kept: the standard error of fewer gains says little itself."""


@dataclass(frozen=True)
class RankerSettings:
    """How the ranker is trained.

    Attributes:
        candidates: Items that retrieval hands to it.
        trees: Trees at most.
        leaves: Leaves of a tree.
        least_in_leaf: Candidates in a leaf, at least.
        learning_rate: Step of a tree.
        patience: Trees without gain after which training stops.
        held_out: Share of users kept from fitting: half of them stop it, the other half judge it.
        unplayed: Share of the candidates that are shown to the trees as if nobody had played them.
        k: Length of the list that is judged (NDCG).
        seed: Key of the split of users and of the trees.
        threads: CPU threads.
    """

    candidates: int = 200
    trees: int = 500
    leaves: int = 15
    least_in_leaf: int = 50
    learning_rate: float = 0.05
    patience: int = 40
    held_out: float = 0.4
    unplayed: float = 0.2
    k: int = 10
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "trees", "least_in_leaf", "patience", "k", "threads", prefix="ranker.", least=1)
        require("ranker.candidates", self.candidates, least=2, most=10_000)  # LightGBM takes no more a user
        require("ranker.leaves", self.leaves, least=2)
        require("ranker.learning_rate", self.learning_rate, above=0, most=1)
        require("ranker.held_out", self.held_out, above=0, below=1)
        require("ranker.unplayed", self.unplayed, least=0, below=1)


@dataclass(frozen=True)
class RankerMeta:
    """What `ranker.json` must say; what else it says is for people."""

    towers_fingerprint: str
    features: tuple[str, ...]
    digest: str
    keeps: Literal["ranker", "retrieval"]
    candidates: int
    threads: int

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        RankerSettings(candidates=self.candidates, threads=self.threads)


class RankingGroup(NamedTuple):
    """One user's candidates, best of retrieval first."""

    features: NDArray[np.float32]
    """(candidates, len(FEATURES))."""
    relevant: NDArray[np.bool_]
    """Which of them the user played later, (candidates,)."""


class Ranker:
    """Trained trees.

    Attributes:
        meta: What `ranker.json` says; `keeps` is "ranker" or "retrieval", the order that held-out users found better.
    """

    def __init__(self, booster: Any, meta: dict[str, Any]) -> None:
        """Hold a LightGBM booster."""
        self.booster = booster
        self.meta = meta

    @property
    def in_use(self) -> bool:
        """Whether its order is kept, rather than retrieval's."""
        return bool(self.meta["keeps"] == "ranker")

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return a score for each row of (rows, len(FEATURES)), each by itself."""
        if not len(features):
            return np.zeros(0)
        return np.asarray(self.booster.predict(features, num_threads=self.meta["threads"]), dtype=np.float64)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how much each feature adds to each row's score, (rows, len(FEATURES)); TreeSHAP values."""
        return np.asarray(self.booster.predict(features, pred_contrib=True), dtype=np.float64)[:, :-1]

    def save(self, folder: Path | str, towers_fingerprint: str) -> None:
        """Write it, so that a reader sees the ranker of before or this one, whole."""
        meta = {**self.meta, "features": list(FEATURES), "towers_fingerprint": towers_fingerprint}
        write_ranker(Path(folder), meta, self.booster.model_to_string())

    @classmethod
    def load(cls, folder: Path | str, towers_fingerprint: str) -> Ranker:
        """Read what `save` wrote.

        Raises:
            MissingError: If a file is missing or cut short, or LightGBM cannot be loaded.
            FingerprintError: If it was trained on other towers or features.
        """
        folder = Path(folder)
        meta = read_ranker_meta(folder)
        read = as_record(meta, RankerMeta, where=folder / "ranker.json")
        if read.towers_fingerprint != towers_fingerprint or read.features != FEATURES:
            raise FingerprintError(
                f"{folder}: was trained on towers {read.towers_fingerprint}, these are {towers_fingerprint}. "
                "Run audiomae train-ranker again."
            )
        lightgbm = need_lightgbm()
        trees, text = read_trees(folder, read.digest)
        if text is None:
            if read_ranker_meta(folder) != meta:  # trained again between the two reads
                return cls.load(folder, towers_fingerprint)
            raise MissingError(f"{trees}: missing, cut short or changed. Run audiomae train-ranker again.")
        try:
            booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise DataError(
                f"{trees}: holds no trees ({reason_of(error)}). Run audiomae train-ranker again."
            ) from error
        if booster.num_feature() != len(FEATURES):
            raise DataError(
                f"{trees}: its trees see {booster.num_feature()} features of {len(FEATURES)}. Run "
                "audiomae train-ranker again."
            )
        return cls(booster, meta)


def need_lightgbm() -> Any:
    """Return LightGBM, imported when it is first needed: it takes 100 MB.

    Raises:
        MissingError: If its OpenMP library is missing.
    """
    try:
        import lightgbm
    except OSError as error:
        raise MissingError(
            f"LightGBM cannot be loaded ({str(error).splitlines()[0]}). Install its OpenMP library (Debian: apt-get "
            "install libgomp1), or recommend without the second stage: --ranker false."
        ) from None
    return lightgbm


def fit_ranker(
    groups: Sequence[RankingGroup],
    settings: RankerSettings,
    *,
    on_tree: Callable[[int], None] = lambda _: None,
) -> Ranker:
    """Train on some users, stop by others, and judge on yet others which order is better.

    Users none of whose candidates is relevant teach nothing and are left out of fitting, not of judging.

    Args:
        groups: A group a user.
        settings: How.
        on_tree: Told the number of each tree.

    Returns:
        The ranker; its `meta` says what it measured and which order is kept. Retrieval's is kept unless the
        ranker's mean NDCG on the judging users, `LEAST_JUDGES` at least, is above it by more than `SURE` standard
        errors.

    Raises:
        DataError: If too few users have a relevant candidate.
        MissingError: If LightGBM cannot be loaded.
    """
    useful = [place for place, group in enumerate(groups) if group.relevant.any()]
    if len(useful) < LEAST_USERS:
        raise DataError(
            f"{len(useful)} users have a track of the validation slice among their candidates; the ranker needs "
            f"{LEAST_USERS}. Raise --ranker.candidates, or go without a ranker."
        )
    drawn = np.random.default_rng(settings.seed).permutation(useful)
    each = max(2, round(len(drawn) * settings.held_out / 2))
    stopping, fitting = (
        [groups[place] for place in np.sort(places)] for places in (drawn[:each], drawn[2 * each :])
    )
    ranker = Ranker(_grow(fitting, stopping, settings, on_tree), {**asdict(settings), "keeps": "ranker"})
    judged = [groups[place] for place in drawn[each : 2 * each]]
    before = _ndcg_of([group.relevant for group in judged], settings.k)
    after = _ndcg_of([group.relevant[order_by(ranker.score(group.features))] for group in judged], settings.k)
    gain = after - before
    error = float(gain.std(ddof=1) / len(gain) ** 0.5)
    ranker.meta |= {
        "trees": ranker.booster.num_trees(),
        "users": {"fitting": len(fitting), "stopping": len(stopping), "judging": len(judged)},
        "ndcg_of_retrieval": float(before.mean()),
        "ndcg_of_ranker": float(after.mean()),
        "gain": float(gain.mean()),
        "gain_error": error,
        "keeps": "ranker" if len(gain) >= LEAST_JUDGES and gain.mean() > SURE * error else "retrieval",
    }
    return ranker


def _grow(
    fitting: Sequence[RankingGroup],
    stopping: Sequence[RankingGroup],
    settings: RankerSettings,
    on_tree: Callable[[int], None],
) -> Any:
    """Return LightGBM's booster, cut where the stopping users found it best."""
    lightgbm = need_lightgbm()
    generator = np.random.default_rng([settings.seed, 1])

    def dataset(chosen: Sequence[RankingGroup], reference: Any = None) -> Any:
        return lightgbm.Dataset(
            np.concatenate([hide_plays(group.features, settings.unplayed, generator) for group in chosen]),
            np.concatenate([group.relevant for group in chosen]).astype(np.float32),
            group=[len(group.relevant) for group in chosen],
            reference=reference,
            feature_name=list(FEATURES),
            params={"verbose": -1},
        )

    params = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [settings.k],
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.least_in_leaf,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "verbose": -1,
    }
    train = dataset(fitting)
    booster = lightgbm.train(
        params,
        train,
        settings.trees,
        valid_sets=[dataset(stopping, train)],
        callbacks=[
            lightgbm.early_stopping(settings.patience, verbose=False),
            lambda state: on_tree(state.iteration + 1),
        ],
    )
    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def order_by(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return places by falling score; equal scores stay in order."""
    return np.argsort(-scores, kind="stable")


def _ndcg_of(lists: Sequence[NDArray[np.bool_]], k: int) -> NDArray[np.float64]:
    """NDCG of each list, taking the candidates' relevant items, one at least, for all there are."""
    return np.array([ndcg(hits[None], np.array([hits.sum()]), k)[0] for hits in lists])
