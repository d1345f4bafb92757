"""What `audiomae evaluate` says."""

from __future__ import annotations

from audiomae.cli.evaluate import show
from audiomae.recommend.evaluation.bootstrap import Interval
from audiomae.recommend.evaluation.results import (
    CalibrationResult,
    EvaluateResult,
    EvaluationProtocol,
    Measure,
    PartResult,
)


def make_result() -> EvaluateResult:
    protocol = EvaluationProtocol(
        split={},
        judged_on="the test slice",
        known="train",
        fingerprint="f",
        relevant="new tracks",
        users_judged=1234,
        pairs_to_be_found=5678,
        pairs_dropped_as_played_before=0,
        candidates="all 40 tracks of the catalogue",
        groups={},
        group_meaning="",
        ties="",
        fitted_on="train",
        ks=[5, 10],
        intervals="",
        differences="",
        tuning={},
        systems={},
        left_out={},
        seed=0,
        versions={},
        seconds=1.0,
    )
    names = ("recall@10", "ndcg@5")
    measures = [{name: Measure(mean, mean - 0.1, mean + 0.1) for name in names} for mean in (0.5, 0.2)]
    gap = {name: Interval(0.3, 0.1, 0.5) for name in names}
    part = PartResult(1234, dict(zip(("towers", "popularity"), measures, strict=True)), {"popularity": gap})
    return EvaluateResult(protocol, {"all": part}, {}, CalibrationResult("no validation slice"), ["little."])


def test_people_read_who_was_judged_how_well_and_what_is_surely_better(capsys):
    show(make_result())
    said = capsys.readouterr().out
    assert "1,234 users and 5,678 tracks that are new to them" in said
    assert "All users (1,234 users; 95 % intervals)" in said
    assert "0.5000 [0.4000, 0.6000]" in said
    assert "Caution: little." in said
    assert "towers is better than popularity (ndcg@5 +0.3000, between +0.1000 and +0.5000)." in said
