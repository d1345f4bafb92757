"""What `audiomae train-ranker` says."""

from __future__ import annotations

from audiomae.recommend.ranking.ranker import LEAST_JUDGES
from audiomae.verbs.train_ranker import TrainRankerResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae train-ranker recommender/"
MAIN = ("most_users", "ranker.candidates", "ranker.trees", "ranker.seed", "ranker.threads")
"""Settings that `--help` shows first."""


def show(result: TrainRankerResult) -> None:
    """Print whose order is kept, and why."""
    scores = (
        f"NDCG@{result.k} of {result.users['judging']:,} users that training did not see: {result.ndcg_of_ranker:.4f} "
        f"with the ranker, {result.ndcg_of_retrieval:.4f} with the towers alone (gain {result.gain:+.4f}, standard "
        f"error {result.gain_error:.4f})."
    )
    kept = (
        f"its {result.trees:,} trees order the lists from now on"
        if result.in_use
        else f"fewer than {LEAST_JUDGES} users judged it, so the towers' order is kept"
        if result.users["judging"] < LEAST_JUDGES
        else "the gain is not sure, so the towers' order is kept"
    )
    print(f"{result.recommender}: {kept}.\n{scores}")
    if result.caution:
        print(f"Caution: {result.caution}")
