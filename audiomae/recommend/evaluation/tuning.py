"""Choosing a baseline's parameters on the validation slice, from a small grid that the result states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audiomae.recommend.evaluation.baselines.baseline import Baseline, Fitted

__all__ = ["tune"]

SWEEPS = 2


@dataclass(frozen=True)
class Tuned:
    """A baseline with parameters chosen.

    Attributes:
        fitted: Makes its lists.
        parameters: What was chosen.
        tried: Parameters and score of each fit, in order; empty where nothing was to be chosen.
    """

    fitted: Fitted
    parameters: dict[str, Any]
    tried: list[dict[str, Any]]


def tune(
    baseline: Baseline, judge: Callable[[Fitted], float] | None, *, on_fit: Callable[[], None] = lambda: None
) -> Tuned:
    """Go through the grid one parameter at a time, from the defaults, twice or until nothing gets better.

    Args:
        baseline: What to tune.
        judge: Score on the validation slice, larger is better; None takes the defaults.
        on_fit: Called after each fit.
    """
    grid = baseline.grid
    chosen = {name: values[0] for name, values in grid.items()}
    best = baseline.fit(chosen)
    if judge is None or all(len(values) < 2 for values in grid.values()):
        return Tuned(best, chosen, [])
    scores = {tuple(chosen.items()): judge(best)}
    on_fit()
    for _ in range(SWEEPS):
        before = dict(chosen)
        for name, values in grid.items():
            for value in values:
                other = {**chosen, name: value}
                if tuple(other.items()) in scores:
                    continue
                fitted = baseline.fit(other)
                score = scores[tuple(other.items())] = judge(fitted)
                on_fit()
                if score > scores[tuple(chosen.items())]:
                    chosen, best = other, fitted
        if chosen == before:
            break
    return Tuned(best, chosen, [{**dict(key), "score": score} for key, score in scores.items()])
