"""Top lists of a trained recommender: of its towers alone, and of towers and ranker as they are served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.mapped_rows import UnitRows
from audiomae.recommend.evaluation.baselines.baseline import Context
from audiomae.recommend.evaluation.lists import BlockLister, DotScorer
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.users import UserReader
from audiomae.recommend.towers.model import TowerModel

__all__ = ["ServedLister", "TrainedTowers"]

USER_BLOCK = 32


@dataclass(frozen=True)
class TrainedTowers:
    """The part of a recommender that stage one needs, without its index.

    Attributes:
        model: The towers.
        catalogue: The items.
        users: Fields of the users, user_id first.
        meta: What `recommender.json` says.
    """

    model: TowerModel
    catalogue: Catalogue
    users: pa.Table
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str) -> TrainedTowers:
        """Open a folder that `audiomae train-towers` has finished.

        Raises:
            MissingError: If a file is missing or cut short.
            FingerprintError: If the parts do not belong together.
        """
        place = RecommenderFolder(Path(folder))
        meta, model, catalogue = place.open_trained()
        users = place.read_users()
        pa.default_memory_pool().release_unused()
        return cls(model, catalogue, users, meta)

    def lister(self, name: str, now: Context, *, prior: bool = True) -> BlockLister:
        """Return what lists by scale·cosine + gamma·log q over the whole catalogue, exactly.

        Args:
            name: What tables call it.
            now: What is known, and the users.
            prior: Whether gamma·log q is added.
        """
        reader = _reader_in(self.model, self.catalogue, self.users, now)
        vectors = np.empty((len(now.users), self.catalogue.dim), np.float32)
        for start in range(0, len(now.users), USER_BLOCK):
            users = now.users[start : start + USER_BLOCK]
            vectors[start : start + USER_BLOCK] = reader.known(_names_of(now, users)).vectors
        scale, gamma = float(self.meta["scale"]), float(self.meta["gamma"])
        bias = (gamma * self.catalogue.log_prior).astype(np.float32) if prior and gamma else None
        queries = (scale * vectors).astype(np.float32)
        scorer = DotScorer(now.users, queries, UnitRows(self.catalogue.projected), bias)
        return BlockLister(name, scorer, now.heard)


def _reader_in(model: TowerModel, catalogue: Catalogue, users: pa.Table, now: Context) -> UserReader:
    """Return users as towers see them in a context; of one they have never met no field is known."""
    met = set(users["user_id"].to_pylist())
    missing = [name for name in now.known.user_ids if name not in met]
    if missing:
        more = pa.table({"user_id": pa.array(missing, pa.string())})
        users = pa.concat_tables([users, more], promote_options="default")
    return UserReader(model, catalogue, now.known, users)


class ServedLister:
    """Lists as `audiomae recommend` makes them: candidates from the index, put in order by the ranker.

    Args:
        name: What tables call it.
        recommender: Towers, index and ranker.
        now: What is known, and the users.
    """

    def __init__(self, name: str, recommender: Engine, now: Context) -> None:
        self.name = name
        self._now = now
        reader = _reader_in(recommender.model, recommender.catalogue, recommender.reader.users, now)
        self._recommender = replace(recommender, reader=reader)

    def top(
        self, users: NDArray[np.int64], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """See `Lister.top`."""
        lists = np.full((len(users), k), -1, np.int64)
        ranker = self._recommender.ranker
        count = k if ranker is None else max(k, int(ranker.meta["candidates"]))
        for start in range(0, len(users), USER_BLOCK):
            some = self._recommender.reader.known(_names_of(self._now, users[start : start + USER_BLOCK]))
            found = self._recommender.retrieve_candidates(some, count, where=allowed)
            rows = self._recommender.rank(some, found).rows[:, :k]
            lists[start : start + USER_BLOCK, : rows.shape[1]] = rows
        return lists


def _names_of(now: Context, users: NDArray[np.int64]) -> list[str]:
    """Return the ids of user codes."""
    return [now.known.user_ids[user] for user in users]
