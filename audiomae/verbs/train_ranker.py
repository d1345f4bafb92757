"""recommender → its second stage: trees that order candidates, fitted on the validation slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiomae.cautions import caution_of
from audiomae.checks import require
from audiomae.disk.files import locked
from audiomae.errors import DataError
from audiomae.progress import SILENT, Progress
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.ranking.features import describe_candidates
from audiomae.recommend.ranking.ranker import RankerSettings, RankingGroup, fit_ranker, need_lightgbm
from audiomae.recommend.serving.engine import Engine

__all__ = ["TrainRankerResult", "TrainRankerSettings", "train_ranker"]

_BLOCK = 256


@dataclass(frozen=True)
class TrainRankerSettings:
    """Settings of `audiomae train-ranker`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        most_users: Users of the validation slice to learn from, at most.
        ranker: How the trees are trained.
    """

    recommender: str
    most_users: int = 20_000
    ranker: RankerSettings = field(default_factory=RankerSettings)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("most_users", self.most_users, least=1)


@dataclass(frozen=True)
class TrainRankerResult:
    """What became of the second stage.

    Attributes:
        recommender: Folder of the recommender.
        in_use: Whether the ranker's order is kept; the towers' otherwise, because the gain is not sure.
        trees: Trees of the ranker.
        k: Length of the lists that were judged.
        ndcg_of_retrieval: NDCG at k of the towers' order, over users that training did not see.
        ndcg_of_ranker: The same of the ranker's.
        gain: Mean of the second minus the first.
        gain_error: Standard error of the gain.
        users: How many users fitted the trees, stopped them and judged them.
        caution: Why the scores decide nothing, in a sentence; empty where they may.
    """

    recommender: str
    in_use: bool
    trees: int
    k: int
    ndcg_of_retrieval: float
    ndcg_of_ranker: float
    gain: float
    gain_error: float
    users: dict[str, int]
    caution: str = ""


def train_ranker(settings: TrainRankerSettings, *, progress: Progress = SILENT) -> TrainRankerResult:
    """Train the second stage and write it into the recommender's folder.

    Candidates and features come from the training slice alone; what is to be found, from the validation slice.

    Raises:
        DataError: If there is no validation slice, or too few users have a candidate that they played.
        MissingError: If LightGBM cannot be loaded.
    """
    need_lightgbm()
    folder = Path(settings.recommender)
    engine = Engine.open(folder, slices=("train",), ranker=False)
    with locked(folder / "ranker"):
        groups = _read_groups(engine, settings, progress)
        with progress.stage("fitting", total=settings.ranker.trees, unit="trees") as stage:
            ranker = fit_ranker(groups, settings.ranker, on_tree=lambda _: stage.advance())
        ranker.save(folder / "ranker", engine.model.fingerprint)
    meta = ranker.meta
    kept = ("trees", "k", "ndcg_of_retrieval", "ndcg_of_ranker", "gain", "gain_error", "users")
    found = {name: meta[name] for name in kept}
    caution = caution_of(meta["users"]["judging"], "users", k=meta["k"], candidates=len(engine.catalogue))
    return TrainRankerResult(settings.recommender, in_use=ranker.in_use, **found, caution=caution)


def _read_groups(engine: Engine, settings: TrainRankerSettings, progress: Progress) -> list[RankingGroup]:
    catalogue = engine.catalogue
    later = RecommenderFolder(Path(settings.recommender)).read_plays("validation").align(catalogue.track_ids)
    if not len(later):
        raise DataError(
            f"{settings.recommender}: its validation slice is empty, and the ranker learns from that. Train the towers "
            "with --split.validation 0.1."
        )
    users = np.unique(later.users)
    if len(users) > settings.most_users:
        chosen = np.random.default_rng(settings.ranker.seed).choice(users, settings.most_users, replace=False)
        users = np.sort(chosen)
    pairs = later.pairs()
    groups: list[RankingGroup] = []
    with progress.stage("candidates", total=len(users), unit="users") as stage:
        for first in range(0, len(users), _BLOCK):
            codes = users[first : first + _BLOCK]
            known = engine.reader.known([later.user_ids[code] for code in codes])
            found = engine.retrieve_candidates(known, settings.ranker.candidates)
            for code, one, rows, scores in zip(codes, known.known, found.rows, found.scores, strict=True):
                kept, scores = rows[rows >= 0], scores[rows >= 0]
                played = np.zeros(len(catalogue), dtype=bool)
                played[pairs.indices[pairs.indptr[code] : pairs.indptr[code + 1]]] = True
                table = describe_candidates(engine.items, one, kept, scores)
                groups.append(RankingGroup(table, played[kept]))
            stage.advance(len(codes))
    return groups
