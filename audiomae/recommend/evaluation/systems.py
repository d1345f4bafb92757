"""The systems of an evaluation: recommenders with their seeds and rankers, and the baselines beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError, FingerprintError
from audiomae.listening.content import Content
from audiomae.recommend.evaluation.baselines.factorisation import Bpr, Ials, implicit_is_there
from audiomae.recommend.evaluation.baselines.neighbours import ContentNeighbours, ItemNeighbours
from audiomae.recommend.evaluation.baselines.popularity import (
    Baseline,
    Fitted,
    Popularity,
    Random,
    RecentPopularity,
)
from audiomae.recommend.evaluation.judge import Ground, Judged, judge
from audiomae.recommend.evaluation.plays import JudgedPlays
from audiomae.recommend.evaluation.served import ServedLister, TrainedTowers
from audiomae.recommend.evaluation.tuning import tune
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.engine import Engine

__all__ = ["BASELINES", "SERVED", "Judging", "judge_baseline", "judge_recommender", "pick_baselines"]

SERVED = " + ranker"
BASELINES = ("random", "popularity", "recent", "item-knn", "content-knn", "ials", "bpr")


@dataclass
class Judging:
    """What builds up while systems are judged.

    Attributes:
        folder: The first recommender.
        plays: What is judged on.
        ground: The same, as lists are judged by it.
        systems: The seeds of each system, in the order judged.
        about: What the protocol says of each seed.
        skipped: Baselines left out, and why.
    """

    folder: str
    plays: JudgedPlays
    ground: Ground
    systems: dict[str, list[Judged]] = field(default_factory=dict)
    about: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, judged: Judged, about: dict[str, Any]) -> None:
        """Add a seed of a system."""
        self.systems.setdefault(name, []).append(judged)
        self.about.setdefault(name, []).append(about)

    def fingerprint_of(self, folder: str, interactions: str | None) -> str:
        """Return the fingerprint of what a recommender would be judged on."""
        return (
            self.plays.fingerprint
            if folder == self.folder
            else JudgedPlays.open(folder, interactions).fingerprint
        )


def judge_recommender(judging: Judging, name: str, folder: str, interactions: str | None = None) -> None:
    """Judge one seed of a recommender: its towers alone and, with a ranker, the lists it serves.

    Args:
        judging: Gets both, the second as "NAME + ranker".
        name: What tables call it.
        folder: Where it lies.
        interactions: Later plays, as those of the first were read with.

    Raises:
        FingerprintError: If it is of another split or other tracks.
    """
    theirs = judging.fingerprint_of(folder, interactions)
    if theirs != judging.plays.fingerprint:
        raise FingerprintError(
            f"{folder}: its plays and tracks ({theirs}) are not those of the first recommender "
            f"({judging.plays.fingerprint}); lists of different splits cannot be compared. Train both on the same "
            "tables, tracks and split."
        )
    trained, now = TrainedTowers.open(folder), judging.ground.now
    about = {"folder": Path(folder).name} | {
        key: value for key, value in trained.meta.items() if key != "format"
    }
    alone = judge(trained.lister(name, now), judging.ground)
    judging.add(name, alone, about)
    if not RecommenderFolder(Path(folder)).has_ranker:
        return
    recommender = Engine.open(folder, slices=())
    if recommender.ranker is None:
        note = "the ranker did not beat retrieval on held-out users, so retrieval is served"
        judging.add(name + SERVED, alone, {"folder": Path(folder).name, "note": note})
    else:
        served = judge(ServedLister(name, recommender, now), judging.ground)
        judging.add(name + SERVED, served, {"folder": Path(folder).name, "ranker": recommender.ranker.meta})


def judge_baseline(
    judging: Judging,
    baseline: Baseline,
    judge_fit: Callable[[Fitted], float] | None,
    tell: Callable[[str], None],
) -> None:
    """Tune a baseline, or take its defaults without `judge_fit`, and judge it."""
    start, fits = time.monotonic(), 0

    def count() -> None:
        nonlocal fits
        fits += 1
        tell(f"{baseline.name}, fit {fits}")

    tuned = tune(baseline, judge_fit, on_fit=count)
    judged = judge(tuned.fitted(judging.ground.now), judging.ground)
    about = {
        "parameters": tuned.parameters,
        "grid": {key: list(values) for key, values in baseline.grid.items()},
        "tried": tuned.tried,
        "seconds": round(time.monotonic() - start, 1),
    }
    judging.add(baseline.name, judged, about)


def pick_baselines(
    names: Sequence[str], judging: Judging, *, content: str | None, seed: int, threads: int
) -> tuple[list[Baseline], dict[str, str]]:
    """Return the baselines that can be made, and why the others of `names` are left out."""
    train, skipped = judging.plays.train, judging.skipped
    pairs = train.pairs()
    made: dict[str, Callable[[], Baseline]] = {
        "random": lambda: Random(seed),
        "popularity": Popularity,
        "recent": RecentPopularity,
        "item-knn": lambda: ItemNeighbours(pairs),
        "content-knn": lambda: ContentNeighbours(_content_vectors(content or "", train.track_ids), train),
        "ials": lambda: Ials(pairs, seed=seed, threads=threads),
        "bpr": lambda: Bpr(pairs, seed=seed, threads=threads),
    }
    if judging.ground.now.until is None:
        skipped["recent"] = "the split is not by time, so nothing is recent"
    if content is None:
        skipped["content-knn"] = "it needs --content, the vectors the towers were trained on"
    if not implicit_is_there():
        skipped |= dict.fromkeys(("ials", "bpr"), "implicit is not installed: pip install 'audiomae[bench]'")
    for name in set(skipped) - set(names):
        del skipped[name]
    return [made[name]() for name in BASELINES if name in names and name not in skipped], skipped


def _content_vectors(path: str, track_ids: list[str]) -> NDArray[np.float32]:
    content = Content.open(path)
    place = {name: row for row, name in enumerate(content.track_ids)}
    missing = [name for name in track_ids if name not in place]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(track_ids)} tracks of the catalogue have no vector, {missing[0]!r} "
            "first. Name the content the towers were trained on."
        )
    return content.vectors[[place[name] for name in track_ids]]
