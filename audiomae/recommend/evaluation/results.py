"""What an evaluation found: systems, parts of the plays, measures with intervals, and the protocol they were made by.

The names are those of the JSON file that `--out` writes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from audiomae.recommend.evaluation.bootstrap import Interval
from audiomae.recommend.evaluation.calibration import Platt, ProbabilityScores

__all__ = ["CalibrationResult", "EvaluateResult", "EvaluationProtocol", "Measure", "PartResult", "as_json"]


@dataclass(frozen=True)
class Measure(Interval):
    """One measure of one system.

    Attributes:
        mean: Mean over users and seeds of training.
        low: 2.5 % quantile of the bootstrap means.
        high: 97.5 % quantile.
        deviation_over_seeds: Standard deviation over the seeds of training; None of one seed.
    """

    deviation_over_seeds: float | None = None


@dataclass(frozen=True)
class PartResult:
    """How the systems did on a part of the users and tracks.

    Attributes:
        users: Users of the part.
        systems: System → measure, such as "ndcg@10" → its value.
        differences: System → measure → the first system minus it, paired over users.
    """

    users: int
    systems: dict[str, dict[str, Measure]]
    differences: dict[str, dict[str, Interval]]


@dataclass(frozen=True)
class CalibrationResult:
    """How far scores can be turned into probabilities.

    Attributes:
        note: Why there is nothing to judge, where there is not.
        examples: How the examples were drawn.
        platt: The sigmoid fitted on the validation slice.
        systems: System → kind of fit → how good its probabilities are on later plays.
    """

    note: str | None = None
    examples: dict[str, str] = field(default_factory=dict)
    platt: Platt | None = None
    systems: dict[str, dict[str, ProbabilityScores]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationProtocol:
    """All that is needed to know what the figures mean.

    Attributes:
        split: How the plays were split, as train-towers wrote it down.
        judged_on: Which plays were to be found.
        known: Which were known when the lists were made.
        fingerprint: Stands for plays and tracks; figures are comparable where it is the same.
        relevant: What counts as found.
        users_judged: Users who got lists.
        pairs_to_be_found: Pairs of a user and a new track.
        pairs_dropped_as_played_before: Pairs left out because the user had played the track.
        candidates: What the lists choose from.
        groups: Tracks of each group.
        group_meaning: What the groups are.
        ties: How equal scores are ordered.
        fitted_on: What each system saw.
        ks: Lengths of list.
        intervals: How the intervals were made.
        differences: What the differences are.
        tuning: What baselines were tuned on, by which measure, over how many users.
        systems: System → what is known of each seed: folder, fingerprint, or the baseline's parameters and grid.
        left_out: Baselines left out, and why.
        seed: Key of all draws.
        versions: Versions of the libraries.
        seconds: How long it took.
        plays_of_tracks_not_in_the_catalogue: Plays of a given table that no list could have found.
        plays_not_after_the_known_ones: Plays of a given table that are no later than the known ones.
    """

    split: dict[str, Any]
    judged_on: str
    known: str
    fingerprint: str
    relevant: str
    users_judged: int
    pairs_to_be_found: int
    pairs_dropped_as_played_before: int
    candidates: str
    groups: dict[str, int]
    group_meaning: str
    ties: str
    fitted_on: str
    ks: list[int]
    intervals: str
    differences: str
    tuning: dict[str, Any]
    systems: dict[str, list[dict[str, Any]]]
    left_out: dict[str, str]
    seed: int
    versions: dict[str, str]
    seconds: float
    plays_of_tracks_not_in_the_catalogue: int | None = None
    plays_not_after_the_known_ones: int | None = None


@dataclass(frozen=True)
class EvaluateResult:
    """How good the lists of some systems are.

    Attributes:
        protocol: What the figures mean.
        parts: "all", "warm users", "cold users", "warm tracks", "cold tracks", "cold artists", and the last three
            "… among themselves" → how the systems did; parts without a play are not there.
        lists: System → coverage, Gini, novelty, artist diversity, popularity and its bias of its lists, at each k.
        calibration: Scores as probabilities.
        cautions: A sentence for each reason why figures of this result decide nothing.
    """

    protocol: EvaluationProtocol
    parts: dict[str, PartResult]
    lists: dict[str, dict[str, float]]
    calibration: CalibrationResult
    cautions: list[str] = field(default_factory=list)


def as_json(result: EvaluateResult) -> dict[str, Any]:
    """Return what the JSON file holds: the result without what does not apply."""
    said = asdict(result)
    for name in ("plays_of_tracks_not_in_the_catalogue", "plays_not_after_the_known_ones"):
        if said["protocol"][name] is None:
            del said["protocol"][name]
    said["calibration"] = {name: value for name, value in said["calibration"].items() if value}
    if result.calibration.platt is not None:
        said["calibration"]["platt"] = {"kind": "platt", **said["calibration"]["platt"]}
    return said
