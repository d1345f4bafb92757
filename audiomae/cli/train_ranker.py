"""recommender → its second stage: trees that order candidates, fitted on the validation slice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audiomae.disk.files import locked
from audiomae.errors import ConfigError, DataError
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.ranking.features import describe_candidates
from audiomae.recommend.ranking.ranker import RankerSettings, RankingGroup, fit_ranker, need_lightgbm
from audiomae.recommend.serving.engine import Engine

__all__ = ["TrainRankerSettings", "train_ranker"]

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
        if self.most_users < 1:
            raise ConfigError(f"most_users is {self.most_users}; it must be at least 1.")


def train_ranker(config: TrainRankerSettings) -> int:
    """Train the second stage and write it into the recommender's folder.

    Candidates and features come from the training slice alone; what is to be found, from the validation slice.

    Raises:
        DataError: If there is no validation slice, or too few users have a candidate that they played.
        MissingError: If LightGBM cannot be loaded.
    """
    need_lightgbm()
    folder = Path(config.recommender)
    recommender = Engine.open(folder, slices=("train",), ranker=False)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with locked(folder / "ranker"), Progress(*columns, console=console) as progress:
        groups = _read_groups(recommender, config, progress)
        bar = progress.add_task("trees", total=config.ranker.trees)
        ranker = fit_ranker(groups, config.ranker, on_tree=lambda _: progress.advance(bar))
        ranker.save(folder / "ranker", recommender.model.fingerprint)
    meta = ranker.meta
    if not ranker.in_use:
        console.print(
            f"the ranker's NDCG@{meta['k']} on held-out users, {meta['ndcg_of_ranker']:.4f}, is not surely above "
            f"retrieval's, {meta['ndcg_of_retrieval']:.4f} (gain {meta['gain']:+.4f}, standard error "
            f"{meta['gain_error']:.4f}): retrieval's order is kept.",
            soft_wrap=True,
        )
    shown = ("keeps", "trees", "ndcg_of_retrieval", "ndcg_of_ranker", "gain", "gain_error", "users", "k")
    print(json.dumps({name: meta[name] for name in shown} | {"settings": asdict(config.ranker)}))
    return 0


def _read_groups(recommender: Engine, config: TrainRankerSettings, progress: Progress) -> list[RankingGroup]:
    catalogue = recommender.catalogue
    later = RecommenderFolder(Path(config.recommender)).read_plays("validation").align(catalogue.track_ids)
    if not len(later):
        raise DataError(
            f"{config.recommender}: its validation slice is empty, and the ranker learns from that. Train the towers "
            "with --split.validation 0.1."
        )
    users = np.unique(later.users)
    if len(users) > config.most_users:
        chosen = np.random.default_rng(config.ranker.seed).choice(users, config.most_users, replace=False)
        users = np.sort(chosen)
    pairs = later.pairs()
    groups: list[RankingGroup] = []
    bar = progress.add_task("candidates", total=len(users))
    for first in range(0, len(users), _BLOCK):
        codes = users[first : first + _BLOCK]
        listeners = recommender.reader.known([later.user_ids[code] for code in codes])
        found = recommender.retrieve_candidates(listeners, config.ranker.candidates)
        for code, one, rows, scores in zip(codes, listeners.known, *found, strict=True):
            kept, scores = rows[rows >= 0], scores[rows >= 0]
            played = np.zeros(len(catalogue), dtype=bool)
            played[pairs.indices[pairs.indptr[code] : pairs.indptr[code + 1]]] = True
            table = describe_candidates(recommender.items, one, kept, scores)
            groups.append(RankingGroup(table, played[kept]))
        progress.advance(bar, len(codes))
    return groups
