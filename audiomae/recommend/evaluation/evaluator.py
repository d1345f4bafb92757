"""Judges the systems of an evaluation: recommenders with their seeds and rankers, and the baselines beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiomae.errors import FingerprintError
from audiomae.recommend.evaluation.baselines.baseline import Baseline, Fitted
from audiomae.recommend.evaluation.baselines.registry import BASELINES, Given
from audiomae.recommend.evaluation.data import EvaluationData
from audiomae.recommend.evaluation.plays import EvaluationPlays
from audiomae.recommend.evaluation.scores import SystemScores, score_system
from audiomae.recommend.evaluation.served import ServedLister, TrainedTowers
from audiomae.recommend.evaluation.tuning import tune
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.engine import Engine

__all__ = ["Evaluator"]

SERVED = " + ranker"


@dataclass
class Evaluator:
    """What builds up while systems are judged.

    Attributes:
        folder: The first recommender.
        plays: What is judged on.
        data: The same, as lists are judged by it.
        interactions: Table of later plays, where one was given.
        systems: The seeds of each system, in the order judged.
        about: What the protocol says of each seed.
        left_out: Baselines left out, and why.
    """

    folder: str
    plays: EvaluationPlays
    data: EvaluationData
    interactions: str | None = None
    systems: dict[str, list[SystemScores]] = field(default_factory=dict)
    about: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def judge_recommender(self, name: str, folder: str) -> None:
        """Judge one seed of a recommender: its towers alone and, with a ranker, the lists it serves.

        Args:
            name: What tables call it; the lists served are "NAME + ranker".
            folder: Where it lies.

        Raises:
            FingerprintError: If it is of another split or other tracks.
        """
        same = folder == self.folder
        theirs = (self.plays if same else EvaluationPlays.open(folder, self.interactions)).fingerprint
        if theirs != self.plays.fingerprint:
            raise FingerprintError(
                f"{folder}: its plays and tracks ({theirs}) are not those of the first recommender "
                f"({self.plays.fingerprint}); lists of different splits cannot be compared. Train both on the same "
                "tables, tracks and split."
            )
        trained, now = TrainedTowers.open(folder), self.data.now
        place = {"folder": Path(folder).name}
        alone = score_system(trained.lister(name, now), self.data)
        self._add(name, alone, place | {key: value for key, value in trained.meta.items() if key != "format"})
        if not RecommenderFolder(Path(folder)).has_ranker:
            return
        engine = Engine.open(folder, slices=())
        if engine.ranker is None:
            note = "the ranker did not beat retrieval on held-out users, so retrieval is served"
            self._add(name + SERVED, alone, place | {"note": note})
        else:
            served = score_system(ServedLister(name, engine, now), self.data)
            self._add(name + SERVED, served, place | {"ranker": engine.ranker.meta})

    def judge_baseline(
        self, baseline: Baseline, score_fit: Callable[[Fitted], float] | None, on_fit: Callable[[int], None]
    ) -> None:
        """Tune a baseline, or take its defaults without `score_fit`, and judge it; `on_fit` is told which fit it is."""
        start, fits = time.monotonic(), 0

        def count() -> None:
            nonlocal fits
            fits += 1
            on_fit(fits)

        tuned = tune(baseline, score_fit, on_fit=count)
        scores = score_system(tuned.fitted(self.data.now), self.data)
        about = {
            "parameters": tuned.parameters,
            "grid": {key: list(values) for key, values in baseline.grid.items()},
            "tried": tuned.tried,
            "seconds": round(time.monotonic() - start, 1),
        }
        self._add(baseline.name, scores, about)

    def pick_baselines(
        self, names: Sequence[str], *, content: str | None, seed: int, threads: int
    ) -> list[Baseline]:
        """Return those of the named baselines that can be made; `left_out` says why the others are not."""
        train = self.plays.train
        given = Given(train, train.pairs(), self.data.now.until is not None, content, seed, threads)
        picked = []
        for name, entry in BASELINES.items():
            if name not in names:
                continue
            if reason := entry.why_not(given):
                self.left_out[name] = reason
            else:
                picked.append(entry.make(given))
        return picked

    def _add(self, name: str, scores: SystemScores, about: dict[str, Any]) -> None:
        self.systems.setdefault(name, []).append(scores)
        self.about.setdefault(name, []).append(about)
