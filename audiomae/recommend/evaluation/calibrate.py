"""The probabilities of a recommender: fitted on the validation slice, judged on the plays after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from audiomae.recommend.evaluation.baselines.popularity import CountScorer, Situation, count_listeners
from audiomae.recommend.evaluation.calibration import Isotonic, Platt, judge_probabilities
from audiomae.recommend.evaluation.calibration_examples import Examples, draw_examples, score_examples
from audiomae.recommend.evaluation.judge import Ground
from audiomae.recommend.evaluation.metrics import Truth
from audiomae.recommend.evaluation.plays import JudgedPlays
from audiomae.recommend.evaluation.served import TrainedTowers

__all__ = ["calibrate"]


def calibrate(
    folder: Path | str, plays: JudgedPlays, *, negatives: int, seed: int, out: str | None = None
) -> dict[str, Any]:
    """Fit Platt's sigmoid and an isotonic line on validation, and judge both on the later plays.

    Args:
        folder: The recommender.
        plays: Its plays.
        negatives: Tracks never engaged with that stand beside each play.
        seed: Key of their draw.
        out: File for the sigmoid; not written without.

    Returns:
        System → kind → log_loss, normalised_entropy, calibration_error; and how the examples were drawn. A note alone
        where there is no validation slice.
    """
    ground, before = plays.ground([1]), plays.validation_ground([1])
    if before is None:
        return {"note": "no validation slice to calibrate on"}
    fitting = _draw(before, plays, negatives, [seed, 1])
    judged = _draw(ground, plays, negatives, [seed, 2])
    if fitting.labels.all() or judged.labels.all():
        return {"note": "every user engaged with the whole catalogue, so there is nothing to tell apart"}
    trained = TrainedTowers.open(folder)
    bias = float(trained.meta["bias"])

    def towers(now: Situation, examples: Examples, prior: bool = True) -> NDArray[np.float64]:
        return score_examples(trained.lister("towers", now, prior=prior).scorer, examples)

    scores = towers(before.now, fitting), towers(ground.now, judged)
    platt = Platt.fit(scores[0], fitting.labels)
    if out:
        platt.save(out)
    counted = (
        score_examples(CountScorer(count_listeners(before.now.known)), fitting),
        score_examples(CountScorer(count_listeners(ground.now.known)), judged),
    )
    share = np.full(len(judged.labels), fitting.labels.mean())
    return {
        "examples": {
            "fitted_on": f"validation: {int(fitting.labels.sum())} plays",
            "judged_on": f"later: {int(judged.labels.sum())} plays",
            "negatives": f"{negatives} a play, even over the tracks its user never engaged with at any time",
        },
        "platt": platt.to_json(),
        "systems": {
            "share of positives": {"constant": judge_probabilities(share, judged.labels)},
            "towers": {
                "as trained": judge_probabilities(
                    expit(towers(ground.now, judged, prior=False) + bias), judged.labels
                ),
                **_both(*scores, fitting.labels, judged.labels),
            },
            "popularity": _both(*counted, fitting.labels, judged.labels),
        },
    }


def _both(
    before: NDArray[np.float64],
    later: NDArray[np.float64],
    labels: NDArray[np.bool_],
    later_labels: NDArray[np.bool_],
) -> dict[str, dict[str, float]]:
    return {
        "platt": judge_probabilities(Platt.fit(before, labels)(later), later_labels),
        "isotonic": judge_probabilities(Isotonic.fit(before, labels)(later), later_labels),
    }


def _draw(ground: Ground, plays: JudgedPlays, negatives: int, key: list[int]) -> Examples:
    truth = ground.parts["all"]
    users, tracks = (
        np.concatenate([getattr(part, name) for part in (plays.known, plays.validation, plays.later)])
        for name in ("users", "tracks")
    )
    mine = np.isin(users, truth.users)
    engaged = Truth.of_pairs(users[mine], tracks[mine], truth.catalogue)
    generator = np.random.default_rng(key)
    return draw_examples(truth, engaged, negatives=negatives, generator=generator)
