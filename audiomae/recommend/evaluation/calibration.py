"""Scores become probabilities: fitted on a later slice of plays, judged on the one after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit

from audiomae.errors import DataError

__all__ = ["Isotonic", "Platt", "ProbabilityScores", "judge_probabilities"]

SMALLEST = 1e-12
"""Probabilities are kept this far from 0 and 1, so that one sure mistake does not make a loss infinite."""


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Return the mean of -log(probability of what happened), in nats."""
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return float(-np.where(labels, np.log(p), np.log1p(-p)).mean())


def normalised_entropy(probabilities: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Return the log-loss over that of always saying the share of positives: below 1 is better than saying nothing.

    Source: He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook".
    """
    share = np.full(len(labels), labels.mean())
    return log_loss(probabilities, labels) / log_loss(share, labels)


def calibration_error(
    probabilities: NDArray[np.floating], labels: NDArray[np.bool_], *, bins: int = 15
) -> float:
    """Return the expected calibration error: |mean probability - share of positives|, weighted over bins of equal mass.

    Equal probabilities are never parted, so the order of the examples does not matter.

    Source: Nguyen & O'Connor 2015 (adaptive bins).
    """
    p = probabilities.astype(np.float64)
    _, place, counts = np.unique(p, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    bin_of = np.minimum((middle * bins / len(p)).astype(np.int64), bins - 1)[place]
    gaps = np.bincount(bin_of, weights=p - labels, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


@dataclass(frozen=True)
class ProbabilityScores:
    """How good probabilities are; less is better.

    Attributes:
        log_loss: Mean of -log(probability of what happened), in nats.
        normalised_entropy: The same over that of always saying the share of positives.
        calibration_error: |mean probability - share of positives| over bins of equal mass.
    """

    log_loss: float
    normalised_entropy: float
    calibration_error: float


def judge_probabilities(
    probabilities: NDArray[np.floating], labels: NDArray[np.bool_], *, bins: int = 15
) -> ProbabilityScores:
    """Return all three measures of probabilities."""
    return ProbabilityScores(
        log_loss(probabilities, labels),
        normalised_entropy(probabilities, labels),
        calibration_error(probabilities, labels, bins=bins),
    )


class Calibrator(ABC):
    """Turns scores into probabilities, never reversing their order."""

    @abstractmethod
    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability of each score, the same shape."""


@dataclass(frozen=True)
class Platt(Calibrator):
    """A sigmoid of the score: 1 / (1 + exp(-(slope·score + intercept)))."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> Platt:
        """Fit both numbers by maximum likelihood (Newton), on Platt's targets, so that separable scores stay finite.

        Raises:
            DataError: If all labels are alike.

        Source: Platt 1999; Lin, Lin & Weng 2007.
        """
        positives = _count_positives(labels)
        negatives = len(labels) - positives
        centre, spread = float(scores.mean()), float(scores.std()) or 1.0
        x = (scores.astype(np.float64) - centre) / spread
        targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        design = np.stack([x, np.ones_like(x)], axis=1)
        weights = np.array([0.0, np.log(targets.mean() / (1 - targets.mean()))])
        loss = _cross_entropy(design @ weights, targets)
        for _ in range(100):
            p = expit(design @ weights)
            gradient = design.T @ (p - targets)
            hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-10 * np.eye(2)
            step = np.linalg.solve(hessian, gradient)
            while (now := _cross_entropy(design @ (weights - step), targets)) > loss and np.abs(
                step
            ).max() > 1e-12:
                step /= 2
            weights, loss = weights - step, now
            if np.abs(step).max() < 1e-10:
                break
        # A score that runs against the labels tells nothing: its order is not to be reversed.
        slope = max(float(weights[0]) / spread, 0.0)
        if slope == 0.0:
            return cls(0.0, float(np.log(targets.mean() / (1 - targets.mean()))))
        return cls(slope, float(weights[1]) - float(weights[0]) * centre / spread)

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """See `Calibrator.__call__`."""
        p: NDArray[np.float64] = expit(self.slope * scores.astype(np.float64) + self.intercept)
        return p


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """A rising line through points, flat beyond them.

    Attributes:
        scores: Ascending.
        probabilities: Never falling, strictly within (0, 1).
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def fit(cls, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> Isotonic:
        """Fit by pooling adjacent violators; the ends stay 1 / (n + 2) away from 0 and 1.

        Raises:
            DataError: If all labels are alike.

        Source: Zadrozny & Elkan 2002.
        """
        _count_positives(labels)
        edge = 1 / (len(labels) + 2)
        values, place, counts = np.unique(scores.astype(np.float64), return_inverse=True, return_counts=True)
        shares = np.bincount(place, weights=labels) / counts
        pooled = isotonic_regression(shares, weights=counts)
        line = np.clip(pooled.x, edge, 1 - edge)
        # The ends of each level say all of it.
        ends = np.zeros(len(line), np.bool_)
        ends[pooled.blocks[:-1]] = ends[pooled.blocks[1:] - 1] = True
        return cls(tuple(values[ends].tolist()), tuple(line[ends].tolist()))

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """See `Calibrator.__call__`."""
        p: NDArray[np.float64] = np.interp(scores.astype(np.float64), self.scores, self.probabilities)
        return p


def _count_positives(labels: NDArray[np.bool_]) -> int:
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        raise DataError(
            f"calibration on {positives} positives of {len(labels)} examples; both kinds are needed. "
            "Give a larger validation slice."
        )
    return positives


def _cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float((np.logaddexp(0, logits) - targets * logits).sum())
