"""Examples a second of training the towers on cached vectors, beside implicit's BPR on the same plays.

    python benchmarks/tower_training.py [--tracks 20000] [--dim 512] [--batch 1024] [--threads 2] [--seconds 8]

Whole steps as `train-towers` makes them: the draw of the next batch (plays, histories, negatives) in a thread beside,
forward, backward, clipping, AdamW. An example is a play with its negatives. BPR, which has no features, no history and
no content, learns from one negative a play. The arms take turns; medians over the rounds. The target is 20,000 examples
a second on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from implicit.bpr import BayesianPersonalizedRanking
from report import conditions, markdown
from torch import nn

from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask
from audiomae.training.optimizer import make_optimizer
from audiomae.training.settings import LoopSettings

USERS = 2000


def draw_plays(tracks: int, plays: int) -> Interactions:
    """Draw plays with a long tail."""
    random = np.random.default_rng(0)
    return Interactions.build(
        [f"u{number:05d}" for number in range(USERS)],
        [f"t{number:06d}" for number in range(tracks)],
        random.integers(0, USERS, plays),
        (tracks * random.random(plays) ** 3).astype(int),
        random.integers(0, 10**7, plays) + 10**9,
    )


def towers_arm(
    plays: Interactions, kind: str, longest: int, options: argparse.Namespace
) -> Callable[[], float]:
    """Return a function that trains for some seconds and returns examples a second."""
    features = UserFeatures.fit(None, plays.user_ids, FeatureSettings())
    encoded = features.encode([{"user_id": user} for user in plays.user_ids])
    content = torch.randn(
        len(plays.track_ids), options.dim, generator=torch.Generator().manual_seed(options.seed)
    )
    own = np.arange(1, len(plays.track_ids) + 1)
    negatives, objective = NegativeSettings(kind=kind), ObjectiveSettings()
    sizes = TowerSettings(longest=longest)
    count = negatives.count(options.batch)
    towers = make_towers(features, content, len(own), sizes, objective, count, options.seed)
    given = (content, plays, encoded, own, objective, negatives)
    task = TowerTask(towers, *given, batch=options.batch, seed=options.seed)
    optimizer = make_optimizer(towers, LoopSettings(learning_rate=3e-3))
    share = slice(0, options.batch)

    def measure() -> float:
        started, step = time.perf_counter(), 0
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(task.draw, step, share)
            while time.perf_counter() - started < options.seconds:
                batch = waiting.result()
                step += 1
                waiting = ahead.submit(task.draw, step, share)
                torch.autograd.backward(task.loss(towers, batch)["loss"])
                nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        return step * options.batch / (time.perf_counter() - started)

    return measure


def bpr_arm(plays: Interactions, options: argparse.Namespace) -> Callable[[], float]:
    """Return a function that trains implicit's BPR and returns plays a second."""
    pairs = plays.pairs()

    def measure() -> float:
        epochs = 10
        model = BayesianPersonalizedRanking(
            factors=64, iterations=epochs, num_threads=options.threads, random_state=options.seed
        )
        started = time.perf_counter()
        model.fit(pairs, show_progress=False)
        return epochs * pairs.nnz / (time.perf_counter() - started)

    return measure


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracks", type=int, default=20_000, help="tracks of the catalogue")
    parser.add_argument("--plays", type=int, default=150_000, help="plays to train on")
    parser.add_argument("--dim", type=int, default=512, help="entries of a cached vector")
    parser.add_argument("--batch", type=int, default=1024, help="plays a step")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of an arm a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds")
    parser.add_argument("--seed", type=int, default=0, help="key of everything drawn")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plays = draw_plays(options.tracks, options.plays)
    arms = {
        f"towers, {kind}, history {longest}": towers_arm(plays, kind, longest, options)
        for kind in ("in_batch", "mixed")
        for longest in (20, 50)
    }
    arms["implicit's BPR, 64 factors"] = bpr_arm(plays, options)
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(options.rounds):
        for name, measure in arms.items():
            found[name].append(measure())
    peer = statistics.median(found["implicit's BPR, 64 factors"])
    rows = [
        [
            name,
            f"{statistics.median(speeds):,.0f}",
            f"{min(speeds):,.0f} to {max(speeds):,.0f}",
            f"{statistics.median(speeds) / peer:.3f}",
        ]
        for name, speeds in found.items()
    ]
    print(markdown(["arm", "examples/s", "lowest to highest", "times BPR"], rows))
    print(f"\n- batch {options.batch}, {options.tracks} tracks x {options.dim}-d, {options.threads} threads")
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
