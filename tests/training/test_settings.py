"""Settings of the loop, and what of them stands for a run."""

from __future__ import annotations

import dataclasses

from audiomae.training.runs import identify
from audiomae.training.settings import LoopSettings


def test_the_older_word_for_float32_is_the_same_run():
    older, now = LoopSettings(precision="no"), LoopSettings(precision="fp32")
    assert older == now
    identity, kept = identify({"train": dataclasses.asdict(now)}, without=())
    assert kept["train"]["precision"] == "no"
    assert identity == identify({"train": {**dataclasses.asdict(now), "precision": "no"}}, without=())[0]
