"""recommenders → how good their lists are, beside baselines, on plays that came later."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from audiomae.cautions import FEW_JUDGED, caution_of
from audiomae.checks import close_to, require_all
from audiomae.disk.files import write_atomically, write_json
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress, Stage
from audiomae.recommend.evaluation.baselines.baseline import Baseline, Fitted
from audiomae.recommend.evaluation.baselines.factorisation import implicit_is_there
from audiomae.recommend.evaluation.baselines.registry import BASELINES
from audiomae.recommend.evaluation.calibrate import calibrate
from audiomae.recommend.evaluation.evaluator import Evaluator
from audiomae.recommend.evaluation.metrics import Truth
from audiomae.recommend.evaluation.plays import EvaluationPlays
from audiomae.recommend.evaluation.report import write_tables
from audiomae.recommend.evaluation.results import EvaluateResult, EvaluationProtocol, as_json
from audiomae.recommend.evaluation.scores import SystemScores, score_fits, summarise

__all__ = ["EvaluateResult", "EvaluateSettings", "evaluate"]

LOG = logging.getLogger(__name__)

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
        seed: Key of draws, random lists and the baselines' first vectors.
        threads: CPU threads of iALS and BPR; BPR repeats itself with 1 alone.
    """

    recommenders: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    interactions: str | None = None
    content: str | None = None
    baselines: tuple[str, ...] = tuple(BASELINES)
    tune: bool = True
    tuning_measure: str = "ndcg@10"
    tuning_users: int = 2000
    ks: tuple[int, ...] = (10, 20, 100)
    draws: int = 1000
    negatives: int = 4
    out: str | None = None
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "tuning_users", "draws", "negatives", "threads", least=1)
        if not self.ks or min(self.ks) < 1:
            raise ConfigError(f"ks is {list(self.ks)}; give list lengths of 1 or more, such as [10, 100].")
        for name in self.baselines:
            if name not in BASELINES:
                hint = close_to(name, BASELINES, otherwise=f"There are {', '.join(BASELINES)}.")
                raise ConfigError(f"no baseline {name!r}. {hint}")
        measure, _, k = self.tuning_measure.partition("@")
        if measure not in ("recall", "ndcg", "mrr", "hit_rate") or not k.isdigit() or int(k) < 1:
            raise ConfigError(
                f"tuning_measure is {self.tuning_measure!r}; give recall, ndcg, mrr or hit_rate, as in ndcg@10."
            )


def evaluate(settings: EvaluateSettings, *, progress: Progress = SILENT) -> EvaluateResult:
    """Judge the recommenders, the baselines and those beside; write the result where a file is named.

    Raises:
        ConfigError: If no recommender is named.
        MissingError: If a folder is not a finished recommender.
        FingerprintError: If two recommenders are not of the same split and tracks.
        DataError: If there is nothing to be found.
    """
    if not settings.recommenders:
        raise ConfigError("no recommender named; give a folder of audiomae train-towers.")
    start = time.monotonic()
    first = settings.recommenders[0]
    plays = EvaluationPlays.open(first, settings.interactions)
    evaluator = Evaluator(first, plays, plays.data(list(settings.ks)), settings.interactions)
    baselines = evaluator.pick_baselines(
        settings.baselines, content=settings.content, seed=settings.seed, threads=settings.threads
    )
    for name, reason in evaluator.left_out.items():
        LOG.info("left out: %s (%s)", name, reason)
    systems = _named_systems(settings)
    total = len(systems) + len(baselines) + 2
    with progress.stage("evaluating", total=total, unit="systems") as stage:
        calibration = calibrate(first, plays, negatives=settings.negatives, seed=settings.seed)
        _judge_all(settings, evaluator, systems, baselines, stage)
        parts = summarise(evaluator.systems, TOWERS, draws=settings.draws, seed=settings.seed)
        stage.update(total)
    lists = {name: _mean_of(seeds) for name, seeds in evaluator.systems.items()}
    protocol = _describe(settings, evaluator, round(time.monotonic() - start, 1))
    cautions = _cautions(evaluator)
    result = EvaluateResult(protocol, parts, lists, calibration, cautions)
    if settings.out:
        write_json(settings.out, {"format": FORMAT, **as_json(result)})
        with write_atomically(Path(settings.out).with_suffix(".md")) as temporary:
            temporary.write_text(write_tables(result), encoding="utf-8")
    return result


def _cautions(evaluator: Evaluator) -> list[str]:
    """Return why figures decide nothing: of all users, and of lists that are long for the catalogue."""
    truth = evaluator.data.parts["all"]
    found = [caution_of(len(truth.users), "users")]
    for k in sorted(evaluator.data.ks):
        line = caution_of(
            FEW_JUDGED, "users", k=k, candidates=truth.catalogue, figures=f"figures @{k} and above"
        )
        if line:
            found.append(line)
            break
    return [line for line in found if line]


def _named_systems(settings: EvaluateSettings) -> list[tuple[str, str]]:
    """Return the name that tables call each recommender by, and its folder."""
    named = [(TOWERS, folder) for folder in settings.recommenders]
    names = {TOWERS}
    for group in settings.beside:
        folders = group.split(",")
        name = Path(folders[0]).name or folders[0]
        if name in names:
            raise ConfigError(f"two systems are called {name!r}; rename one of the folders.")
        names.add(name)
        named += [(name, folder) for folder in folders]
    return named


def _judge_all(
    settings: EvaluateSettings,
    evaluator: Evaluator,
    systems: list[tuple[str, str]],
    baselines: list[Baseline],
    stage: Stage,
) -> None:
    done = 1
    for name, folder in systems:
        stage.update(done, folder)
        evaluator.judge_recommender(name, folder)
        done += 1
    score_fit = _score_of_fits(settings, evaluator.plays)
    for baseline in baselines:
        stage.update(done, baseline.name)
        evaluator.judge_baseline(baseline, score_fit, partial(_say_fit, stage, done, baseline.name))
        done += 1
    stage.update(done, "bootstrap")


def _say_fit(stage: Stage, done: int, name: str, number: int) -> None:
    stage.update(done, f"{name}, fit {number}")


def _describe(settings: EvaluateSettings, evaluator: Evaluator, seconds: float) -> EvaluationProtocol:
    plays, data = evaluator.plays, evaluator.data
    truth = data.parts["all"]
    later = int(Truth.of_pairs(plays.later.users, plays.later.tracks, truth.catalogue).counts.sum())
    versions = {name: version(name) for name in ("audiomae", "torch", "numpy", "scipy", "scikit-learn")}
    if implicit_is_there():
        versions["implicit"] = version("implicit")
    return EvaluationProtocol(
        **plays.about,
        fingerprint=plays.fingerprint,
        relevant="tracks a user plays later and had not played before; binary",
        users_judged=len(truth.users),
        pairs_to_be_found=len(truth.items),
        pairs_dropped_as_played_before=later - len(truth.items),
        candidates=f"all {truth.catalogue} tracks of the catalogue but those the user had played",
        groups={name: int(items.sum()) for name, items in data.groups.items()},
        group_meaning="warm track: played in train; cold track: not, its artist is (or is unknown); cold artist: "
        "not played in train, nor anything of its artist. Warm user: has a play in train.",
        ties="by smaller track id",
        fitted_on="train; parameters of baselines chosen on validation; lists of both popularities, and the rows of "
        "users in item-kNN, content-kNN and iALS, also see validation",
        ks=list(data.ks),
        intervals=f"95 %, {settings.draws} bootstrap draws of users (and of seeds); differences paired over users",
        differences=f"{TOWERS} minus each other system",
        tuning={
            "on": "validation" if settings.tune and len(plays.validation) else "nothing: defaults",
            "measure": settings.tuning_measure,
            "users_at_most": settings.tuning_users,
        },
        systems=evaluator.about,
        left_out=evaluator.left_out,
        seed=settings.seed,
        versions=versions,
        seconds=seconds,
    )


def _score_of_fits(settings: EvaluateSettings, plays: EvaluationPlays) -> Callable[[Fitted], float] | None:
    data = plays.validation_data([1]) if settings.tune else None
    if data is None:
        return None
    return score_fits(
        data, measure=settings.tuning_measure, most_users=settings.tuning_users, seed=settings.seed
    )


def _mean_of(seeds: list[SystemScores]) -> dict[str, float]:
    return {name: float(np.mean([seed.lists[name] for seed in seeds])) for name in seeds[0].lists}
