"""The second stage, on two tastes whose right answer is known."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from audiomae.disk.files import read_json
from audiomae.doors import core_of, settings_of
from audiomae.errors import ConfigError, DataError
from audiomae.recommend.ranking.ranker import LEAST_JUDGES, RankerSettings
from audiomae.recommend.serving.recommender import Recommender

SMALL_TREES = RankerSettings(candidates=30, trees=20, least_in_leaf=5)


def train(folder: str, ranker: RankerSettings = SMALL_TREES) -> bytes:
    core_of("train-ranker")(settings_of("train-ranker")(folder, ranker=ranker))
    (trees,) = (Path(folder) / "ranker").glob("*.txt")
    return trees.read_bytes()


def test_the_ranker_is_trained_used_and_as_good_as_it_says(own_tastes):
    plain = Recommender.open(own_tastes).recommend("u01", k=5)
    first = train(own_tastes)
    said = read_json(Path(own_tastes) / "ranker" / "ranker.json")
    assert said["gain"] == pytest.approx(said["ndcg_of_ranker"] - said["ndcg_of_retrieval"])
    assert said["users"]["judging"] < LEAST_JUDGES
    assert said["keeps"] == "retrieval"
    assert Recommender.open(own_tastes).stages == 1
    assert train(own_tastes) == first
    assert Recommender.open(own_tastes, ranker=False).recommend("u01", k=5) == plain


def test_few_judging_users_and_songs_are_said_to_decide_nothing(own_tastes):
    result = core_of("train-ranker")(settings_of("train-ranker")(own_tastes, ranker=SMALL_TREES))
    assert f"{result.users['judging']} users were judged" in result.caution
    assert "a list of 10 holds 17 % of the 60 songs" in result.caution


def test_the_ranker_sees_no_play_after_the_training_slice(own_tastes):
    first = train(own_tastes)
    path = Path(own_tastes) / "tables" / "test.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    assert train(own_tastes) == first


def test_a_ranker_needs_a_validation_slice(own_tastes, edit):
    edit(Path(own_tastes) / "recommender.json", lambda said: said.pop("tables_digests"))
    path = Path(own_tastes) / "tables" / "validation.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match="its validation slice is empty"):
        train(own_tastes)
    with pytest.raises(ConfigError, match="most_users is 0"):
        settings_of("train-ranker")(own_tastes, most_users=0)
