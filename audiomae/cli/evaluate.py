"""recommenders → how good their lists are, beside baselines, on plays that came later."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from audiomae.disk.files import write_atomically, write_json
from audiomae.errors import ConfigError
from audiomae.recommend.evaluation.baselines.factorisation import implicit_is_there
from audiomae.recommend.evaluation.baselines.popularity import Fitted
from audiomae.recommend.evaluation.calibrate import calibrate
from audiomae.recommend.evaluation.judge import Judged, summarise, validation_judge
from audiomae.recommend.evaluation.metrics import Truth
from audiomae.recommend.evaluation.plays import JudgedPlays
from audiomae.recommend.evaluation.report import write_tables
from audiomae.recommend.evaluation.systems import (
    BASELINES,
    Judging,
    judge_baseline,
    judge_recommender,
    pick_baselines,
)

__all__ = ["FORMAT", "EvaluateSettings", "evaluate"]

FORMAT = "audiomae-evaluation/1"
TOWERS = "towers"


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `audiomae evaluate`.

    Attributes:
        recommenders: Folders of `audiomae train-towers`: one, or several that differ in their seed alone.
        beside: Folders of other recommenders with the same split and tracks, such as one on mel statistics; the
            seeds of one stand together with commas: rec_mel,rec_mel_seed1.
        interactions: Table of later plays to be found instead of the test slice; all slices are then known.
        content: Vectors folder or Parquet for content-kNN; left out by default.
        baselines: Which baselines to stand beside; `[]` for none.
        tune: Whether to choose the baselines' parameters on the validation slice; their defaults otherwise.
        tuning_measure: What they are chosen by.
        tuning_users: Users of the validation slice that judge them, at most.
        ks: Lengths of list to judge.
        draws: Bootstrap draws of users for the 95 % intervals.
        negatives: Tracks never engaged with that stand beside each play when probabilities are judged.
        out: JSON file for figures and protocol; the tables are written beside it, as .md.
        calibrator: JSON file for the calibrated sigmoid of the first recommender; not written by default.
        seed: Key of draws, random lists and the baselines' first vectors.
        threads: CPU threads of iALS and BPR; BPR repeats itself with 1 alone.
    """

    recommenders: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    interactions: str | None = None
    content: str | None = None
    baselines: tuple[str, ...] = BASELINES
    tune: bool = True
    tuning_measure: str = "ndcg@10"
    tuning_users: int = 2000
    ks: tuple[int, ...] = (10, 20, 100)
    draws: int = 1000
    negatives: int = 4
    out: str | None = None
    calibrator: str | None = None
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("tuning_users", "draws", "negatives", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if not self.ks or min(self.ks) < 1:
            raise ConfigError(f"ks is {list(self.ks)}; give list lengths of 1 or more, such as [10, 100].")
        for name in self.baselines:
            if name not in BASELINES:
                raise ConfigError(f"no baseline {name!r}; there are {', '.join(BASELINES)}.")
        measure, _, k = self.tuning_measure.partition("@")
        if measure not in ("recall", "ndcg", "mrr", "hit_rate") or not k.isdigit() or int(k) < 1:
            raise ConfigError(
                f"tuning_measure is {self.tuning_measure!r}; give recall, ndcg, mrr or hit_rate, as in ndcg@10."
            )


def evaluate(config: EvaluateSettings) -> int:
    """Judge the recommenders, the baselines and those beside; print tables and write the result.

    Raises:
        ConfigError: If no recommender is named.
        MissingError: If a folder is not a finished recommender.
        FingerprintError: If two recommenders are not of the same split and tracks.
        DataError: If there is nothing to be found.
    """
    if not config.recommenders:
        raise ConfigError("no recommender named; give a folder of audiomae train-towers.")
    start = time.monotonic()
    plays = JudgedPlays.open(config.recommenders[0], config.interactions)
    judging = Judging(config.recommenders[0], plays, plays.ground(list(config.ks)))
    baselines, skipped = pick_baselines(
        config.baselines, judging, content=config.content, seed=config.seed, threads=config.threads
    )
    for name, reason in skipped.items():
        print(f"left out: {name} ({reason})", file=sys.stderr)
    beside = [tuple(group.split(",")) for group in config.beside]
    with _progress() as progress:
        total = len(config.recommenders) + len(baselines) + sum(map(len, beside)) + 2
        bar = progress.add_task("", total=total)

        def tell(what: str) -> None:
            progress.update(bar, description=what)

        judge_fit = _judge_of_fits(config, plays)
        tell("calibration")
        calibration = calibrate(
            config.recommenders[0],
            plays,
            negatives=config.negatives,
            seed=config.seed,
            out=config.calibrator,
        )
        progress.advance(bar)
        for folder in config.recommenders:
            tell(folder)
            judge_recommender(judging, TOWERS, folder, config.interactions)
            progress.advance(bar)
        for folders in beside:
            name = Path(folders[0]).name or folders[0]
            if name in judging.systems:
                raise ConfigError(f"two systems are called {name!r}; rename one of the folders.")
            for folder in folders:
                tell(folder)
                judge_recommender(judging, name, folder, config.interactions)
                progress.advance(bar)
        for baseline in baselines:
            tell(baseline.name)
            judge_baseline(judging, baseline, judge_fit, tell)
            progress.advance(bar)
        tell("bootstrap")
        parts = summarise(judging.systems, TOWERS, draws=config.draws, seed=config.seed)
        progress.advance(bar)
    lists = {name: _mean_of(seeds) for name, seeds in judging.systems.items()}
    result = {
        "format": FORMAT,
        "protocol": {**describe(config, judging), "seconds": round(time.monotonic() - start, 1)},
        "parts": parts,
        "lists": lists,
        "calibration": calibration,
    }
    text = write_tables(result)
    if config.out:
        write_json(config.out, result)
        with write_atomically(Path(config.out).with_suffix(".md")) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def describe(config: EvaluateSettings, judging: Judging) -> dict[str, Any]:
    """Return the protocol: all that is needed to know what the figures mean."""
    plays, ground = judging.plays, judging.ground
    truth = ground.parts["all"]
    later = int(Truth.of_pairs(plays.later.users, plays.later.tracks, truth.catalogue).counts.sum())
    return {
        **plays.about,
        "fingerprint": plays.fingerprint,
        "relevant": "tracks a user plays later and had not played before; binary",
        "users_judged": len(truth.users),
        "pairs_to_be_found": len(truth.items),
        "pairs_dropped_as_played_before": later - len(truth.items),
        "candidates": f"all {truth.catalogue} tracks of the catalogue but those the user had played",
        "groups": {name: int(items.sum()) for name, items in ground.groups.items()},
        "group_meaning": "warm track: played in train; cold track: not, its artist is (or is unknown); cold artist: "
        "not played in train, nor anything of its artist. Warm user: has a play in train.",
        "ties": "by smaller track id",
        "fitted_on": "train; parameters of baselines chosen on validation; lists of both popularities, and the rows of "
        "users in item-kNN, content-kNN and iALS, also see validation",
        "ks": list(ground.ks),
        "intervals": f"95 %, {config.draws} bootstrap draws of users (and of seeds); differences paired over users",
        "differences": f"{TOWERS} minus each other system",
        "tuning": {
            "on": "validation" if config.tune and len(plays.validation) else "nothing: defaults",
            "measure": config.tuning_measure,
            "users_at_most": config.tuning_users,
        },
        "systems": judging.about,
        "left_out": judging.skipped,
        "seed": config.seed,
        "versions": {name: version(name) for name in ("audiomae", "torch", "numpy", "scipy", "scikit-learn")}
        | ({"implicit": version("implicit")} if implicit_is_there() else {}),
    }


def _judge_of_fits(config: EvaluateSettings, plays: JudgedPlays) -> Callable[[Fitted], float] | None:
    ground = plays.validation_ground([1]) if config.tune else None
    if ground is None:
        return None
    return validation_judge(
        ground, measure=config.tuning_measure, most_users=config.tuning_users, seed=config.seed
    )


def _mean_of(seeds: list[Judged]) -> dict[str, float]:
    return {name: float(np.mean([seed.lists[name] for seed in seeds])) for name in seeds[0].lists}


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
