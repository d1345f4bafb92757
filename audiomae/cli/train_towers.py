"""What `audiomae train-towers` says."""

from __future__ import annotations

from audiomae.verbs.train_towers import TrainTowersResult

__all__ = ["EXAMPLE", "MAIN", "show", "status"]

EXAMPLE = (
    "audiomae train-towers vectors/ --tables.interactions plays.parquet --tables.tracks tracks.parquet "
    "--out recommender/"
)
MAIN = (
    "tables.interactions",
    "tables.users",
    "tables.tracks",
    "split.kind",
    "objective.loss",
    "epochs",
    "steps",
    "out",
    "train.batch",
)
"""Settings that `--help` shows first."""


def status(result: TrainTowersResult) -> int:
    """Return 128 + the signal that stopped the training, 0 where it has finished."""
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def show(result: TrainTowersResult) -> int:
    """Print what was trained and how well it finds later plays."""
    if result.stopped_by is not None:
        print(f"{result.recommender}: stopped at step {result.steps:,}; the same command goes on from there.")
        return status(result)
    print(f"{result.recommender}: two towers, trained for {result.steps:,} steps.")
    scores = result.validation
    if scores is None:
        print(f"Nothing was judged, as no play came after the training; popularity weighs {result.gamma:g}.")
    else:
        print(
            f"Of the new tracks that {scores.users:,} users played later, their lists of {scores.k} hold "
            f"{100 * scores.recall:.1f} % (recall@{scores.k}; NDCG@{scores.k} {scores.ndcg:.3f}); popularity weighs "
            f"{result.gamma:g}."
        )
        if scores.caution:
            print(f"Caution: {scores.caution}")
    print(f"Next: audiomae recommend {result.recommender} --user ID")
    return 0
