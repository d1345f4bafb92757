"""The baselines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audiomae.errors import DataError
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.baseline import Baseline
from audiomae.recommend.evaluation.baselines.factorisation import Bpr, Ials, implicit_is_there
from audiomae.recommend.evaluation.baselines.neighbours import ContentNeighbours, ItemNeighbours
from audiomae.recommend.evaluation.baselines.popularity import Popularity, Random, RecentPopularity

__all__ = ["BASELINES", "Given"]


@dataclass(frozen=True)
class Given:
    """What baselines are made of.

    Attributes:
        train: Plays to fit on.
        pairs: The same as summed weights, users × tracks.
        timed: Whether lists are made at a moment, so that some plays are recent.
        content: Vectors folder or Parquet of the tracks; None without.
        seed: Key of random lists and first vectors.
        threads: CPU threads.
    """

    train: Interactions
    pairs: csr_matrix
    timed: bool
    content: str | None
    seed: int
    threads: int


@dataclass(frozen=True)
class BaselineEntry:
    """One baseline.

    Attributes:
        make: Makes it.
        why_not: Says why it cannot be made of what is given; None where it can.
    """

    make: Callable[[Given], Baseline]
    why_not: Callable[[Given], str | None] = lambda _: None


def _needs_time(given: Given) -> str | None:
    return None if given.timed else "the split is not by time, so nothing is recent"


def _needs_content(given: Given) -> str | None:
    return "it needs --content, the vectors the towers were trained on" if given.content is None else None


def _needs_implicit(_: Given) -> str | None:
    return None if implicit_is_there() else "implicit is not installed: pip install 'audiomae[bench]'"


def _content_vectors(given: Given) -> NDArray[np.float32]:
    path, track_ids = given.content or "", given.train.track_ids
    content = Content.open(path)
    place = {name: row for row, name in enumerate(content.track_ids)}
    missing = [name for name in track_ids if name not in place]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(track_ids)} tracks of the catalogue have no vector, {missing[0]!r} "
            "first. Name the content the towers were trained on."
        )
    return content.vectors[[place[name] for name in track_ids]]


BASELINES: dict[str, BaselineEntry] = {
    "random": BaselineEntry(lambda given: Random(given.seed)),
    "popularity": BaselineEntry(lambda _: Popularity()),
    "recent": BaselineEntry(lambda _: RecentPopularity(), _needs_time),
    "item-knn": BaselineEntry(lambda given: ItemNeighbours(given.pairs)),
    "content-knn": BaselineEntry(
        lambda given: ContentNeighbours(_content_vectors(given), given.train), _needs_content
    ),
    "ials": BaselineEntry(
        lambda given: Ials(given.pairs, seed=given.seed, threads=given.threads), _needs_implicit
    ),
    "bpr": BaselineEntry(
        lambda given: Bpr(given.pairs, seed=given.seed, threads=given.threads), _needs_implicit
    ),
}
"""What `--baselines` takes; they are judged in this order."""
