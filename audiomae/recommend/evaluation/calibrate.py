"""The probabilities of a recommender: fitted on the validation slice, judged on the plays after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from audiomae.recommend.evaluation.baselines.baseline import Context, count_users
from audiomae.recommend.evaluation.baselines.popularity import CountScorer
from audiomae.recommend.evaluation.calibration import Isotonic, Platt, ProbabilityScores, judge_probabilities
from audiomae.recommend.evaluation.data import EvaluationData
from audiomae.recommend.evaluation.labelled_pairs import LabelledPairs, draw_pairs, score_pairs
from audiomae.recommend.evaluation.metrics import Truth
from audiomae.recommend.evaluation.plays import EvaluationPlays
from audiomae.recommend.evaluation.results import CalibrationResult
from audiomae.recommend.evaluation.served import TrainedTowers

__all__ = ["calibrate"]


def calibrate(folder: Path | str, plays: EvaluationPlays, *, negatives: int, seed: int) -> CalibrationResult:
    """Fit Platt's sigmoid and an isotonic line on validation, and judge both on the later plays.

    Args:
        folder: The recommender.
        plays: Its plays.
        negatives: Tracks never engaged with that stand beside each play.
        seed: Key of their draw.

    Returns:
        A note alone where there is no validation slice, or nothing to tell apart.
    """
    data, before = plays.data([1]), plays.validation_data([1])
    if before is None:
        return CalibrationResult("no validation slice to calibrate on")
    fitting = _draw(before, plays, negatives, [seed, 1])
    judged = _draw(data, plays, negatives, [seed, 2])
    if fitting.labels.all() or judged.labels.all():
        return CalibrationResult(
            "every user engaged with the whole catalogue, so there is nothing to tell apart"
        )
    trained = TrainedTowers.open(folder)
    bias = float(trained.meta["bias"])

    def towers(now: Context, examples: LabelledPairs, prior: bool = True) -> NDArray[np.float64]:
        return score_pairs(trained.lister("towers", now, prior=prior).scorer, examples)

    scores = towers(before.now, fitting), towers(data.now, judged)
    platt = Platt.fit(scores[0], fitting.labels)
    counted = (
        score_pairs(CountScorer(count_users(before.now.known)), fitting),
        score_pairs(CountScorer(count_users(data.now.known)), judged),
    )
    share = np.full(len(judged.labels), fitting.labels.mean())
    as_trained = expit(towers(data.now, judged, prior=False) + bias)
    return CalibrationResult(
        examples={
            "fitted_on": f"validation: {int(fitting.labels.sum())} plays",
            "judged_on": f"later: {int(judged.labels.sum())} plays",
            "negatives": f"{negatives} a play, even over the tracks its user never engaged with at any time",
        },
        platt=platt,
        systems={
            "share of positives": {"constant": judge_probabilities(share, judged.labels)},
            "towers": {
                "as trained": judge_probabilities(as_trained, judged.labels),
                **_both(*scores, fitting.labels, judged.labels),
            },
            "popularity": _both(*counted, fitting.labels, judged.labels),
        },
    )


def _both(
    before: NDArray[np.float64],
    later: NDArray[np.float64],
    labels: NDArray[np.bool_],
    later_labels: NDArray[np.bool_],
) -> dict[str, ProbabilityScores]:
    return {
        "platt": judge_probabilities(Platt.fit(before, labels)(later), later_labels),
        "isotonic": judge_probabilities(Isotonic.fit(before, labels)(later), later_labels),
    }


def _draw(data: EvaluationData, plays: EvaluationPlays, negatives: int, key: list[int]) -> LabelledPairs:
    truth = data.parts["all"]
    users, tracks = (
        np.concatenate([getattr(part, name) for part in (plays.known, plays.validation, plays.later)])
        for name in ("users", "tracks")
    )
    mine = np.isin(users, truth.users)
    engaged = Truth.of_pairs(users[mine], tracks[mine], truth.catalogue)
    generator = np.random.default_rng(key)
    return draw_pairs(truth, engaged, negatives=negatives, generator=generator)
