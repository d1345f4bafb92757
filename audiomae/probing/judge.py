"""One question asked of several kinds of vectors: their scores, and how far the model is above the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiomae.probing.labels import ProbeTask
from audiomae.probing.measures import (
    Score,
    bootstrap,
    draw_folds,
    probe_linear,
    probe_neighbours,
    retrieve_track,
)

__all__ = ["MODEL", "ProbeRules", "TaskResult", "judge"]

MODEL = "model"
"""Name of the vectors that the others are compared with."""

Hits = dict[str, NDArray[np.bool_]]
"""Measure → which clips were answered rightly, (clips,)."""


@dataclass(frozen=True)
class ProbeRules:
    """How questions are asked.

    Attributes:
        folds: Folds to draw where the labels give none.
        inverse_penalty: C of the logistic regression.
        neighbours: Neighbours that vote in kNN.
        whiten: Dimensions of the whitening in whitened retrieval; at most a third of the clips.
        bootstrap: Draws of groups for the 95 % intervals; 0 for none.
        seed: Key of folds and draws.
    """

    folds: int = 5
    inverse_penalty: float = 0.01
    neighbours: int = 5
    whiten: int = 128
    bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class TaskResult:
    """What one question gave.

    Attributes:
        kind: retrieval (another clip of the same track) or classes (the label).
        clips: Clips asked about.
        classes: Different right answers.
        groups: Groups (tracks) that the clips belong to.
        scores: Name of the vectors → measure → share of right answers with its interval. Measures are rank1 and
            rank1_whitened for retrieval, linear and knn for classes.
        model_above: Name of other vectors → measure → how far the model is above them, paired, with its interval.
        folds: Folds; 0 for retrieval.
        folds_from: Where they come from: `labels file` or `drawn`; empty for retrieval.
        largest_class: Share of the most frequent label, what always saying it scores; None for retrieval.
    """

    kind: Literal["retrieval", "classes"]
    clips: int
    classes: int
    groups: int
    scores: dict[str, dict[str, Score]]
    model_above: dict[str, dict[str, Score]]
    folds: int = 0
    folds_from: str = ""
    largest_class: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the entry of a probe's file."""
        about: dict[str, Any] = {
            "kind": self.kind,
            "clips": self.clips,
            "classes": self.classes,
            "groups": self.groups,
        }
        if self.kind == "classes":
            about["folds"] = {"count": self.folds, "from": self.folds_from}
            about["largest_class"] = self.largest_class
        for name in ("scores", "model_above"):
            about[name] = {
                vectors: {measure: score._asdict() for measure, score in measures.items()}
                for vectors, measures in getattr(self, name).items()
            }
        return about


def judge(
    task: ProbeTask, vectors: Mapping[str, NDArray[np.float32]], rules: ProbeRules | None = None
) -> TaskResult:
    """Answer one task from each kind of vector.

    Args:
        task: The question.
        vectors: Name → (clips, d), in the order of the task's clips; `MODEL` is what the others are compared with.
        rules: How it is asked.
    """
    rules = rules or ProbeRules()
    counts = Counter(task.labels.tolist())
    retrieval = task.kind == "retrieval"
    folds, folds_from = task.folds, "labels file"
    if not retrieval and not (folds >= 0).all():
        folds = draw_folds(task.labels, task.groups, folds=rules.folds, seed=rules.seed)
        folds_from = "drawn"
    hits = {
        name: _retrieve(task, values, rules) if retrieval else _classify(task, values, folds, rules)
        for name, values in vectors.items()
    }

    def interval(values: NDArray[Any]) -> Score:
        found = bootstrap(values, task.groups, resamples=rules.bootstrap, seed=rules.seed)
        return Score(*(round(value, 4) for value in found))

    return TaskResult(
        kind=task.kind,
        clips=len(task.labels),
        classes=len(counts),
        groups=len(set(task.groups.tolist())),
        scores={name: {key: interval(row) for key, row in kinds.items()} for name, kinds in hits.items()},
        model_above={
            name: {key: interval(row.astype(int) - hits[name][key]) for key, row in hits[MODEL].items()}
            for name in hits
            if name != MODEL
        },
        folds=0 if retrieval else len(set(folds.tolist())),
        folds_from="" if retrieval else folds_from,
        largest_class=None if retrieval else max(counts.values()) / len(task.labels),
    )


def _retrieve(task: ProbeTask, values: NDArray[np.float32], rules: ProbeRules) -> Hits:
    fewer = max(2, len(task.labels) // 3)  # more directions than that would whiten noise
    return {
        "rank1": retrieve_track(values, task.labels),
        "rank1_whitened": retrieve_track(values, task.labels, whiten=min(rules.whiten, fewer)),
    }


def _classify(
    task: ProbeTask, values: NDArray[np.float32], folds: NDArray[np.int64], rules: ProbeRules
) -> Hits:
    return {
        "linear": probe_linear(values, task.labels, folds, inverse_penalty=rules.inverse_penalty),
        "knn": probe_neighbours(values, task.labels, folds, k=rules.neighbours),
    }
