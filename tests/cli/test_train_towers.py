"""What train-towers, train-ranker and prepare-tables say."""

from __future__ import annotations

import pytest

from audiomae.cli import prepare_tables, train_ranker, train_towers
from audiomae.verbs.prepare_tables import PrepareTablesResult
from audiomae.verbs.train_ranker import TrainRankerResult
from audiomae.verbs.train_towers import TowerScores, TrainTowersResult


def test_a_finished_training_says_how_well_it_finds_later_plays(capsys):
    result = TrainTowersResult("rec", 1200, 0.5, TowerScores(20, 0.3125, 0.2, 443))
    assert train_towers.show(result) == 0
    said = capsys.readouterr().out
    assert "rec: two towers, trained for 1,200 steps." in said
    assert "443 users played later, their lists of 20 hold 31.2 %" in said
    assert "popularity weighs 0.5" in said


def test_scores_of_few_users_and_songs_come_with_a_caution(capsys):
    train_towers.show(TrainTowersResult("rec", 1200, 0.5, TowerScores(20, 0.99, 0.9, 10, "of no worth.")))
    assert "Caution: of no worth." in capsys.readouterr().out
    train_towers.show(TrainTowersResult("rec", 1200, 0.5, TowerScores(20, 0.3, 0.2, 443)))
    assert "Caution" not in capsys.readouterr().out


def test_a_training_without_later_plays_says_that_nothing_was_judged(capsys):
    train_towers.show(TrainTowersResult("rec", 200, 1.0, None))
    assert "Nothing was judged" in capsys.readouterr().out


@pytest.mark.parametrize(("signal", "expected"), [(2, 130), (15, 143)])
def test_a_training_that_a_signal_stopped_exits_with_128_and_its_number(capsys, signal, expected):
    result = TrainTowersResult("rec", 40, 1.0, None, stopped_by=signal)
    assert train_towers.show(result) == train_towers.status(result) == expected
    assert "stopped at step 40; the same command goes on from there" in capsys.readouterr().out


def test_train_ranker_says_whose_order_is_kept(capsys):
    users = {"fitting": 60, "stopping": 20, "judging": 20}
    train_ranker.show(TrainRankerResult("rec", True, 35, 10, 0.2, 0.25, 0.05, 0.01, users))
    assert "rec: its 35 trees order the lists from now on." in capsys.readouterr().out
    train_ranker.show(TrainRankerResult("rec", False, 35, 10, 0.25, 0.25, 0.0, 0.01, users))
    said = capsys.readouterr().out
    assert "the towers' order is kept" in said
    assert "NDCG@10 of 20 users" in said
    train_ranker.show(TrainRankerResult("rec", True, 35, 10, 0.2, 0.25, 0.05, 0.01, users, "of no worth."))
    assert "Caution: of no worth." in capsys.readouterr().out


def test_prepare_tables_says_what_it_wrote(capsys):
    counts = {"interactions": 12345, "users": 20, "content": 6, "content_dim": 160}
    prepare_tables.show(PrepareTablesResult("tables", "simulated listeners", True, counts, ["A note."]))
    said = capsys.readouterr().out
    assert "tables: 12,345 plays, 20 users, 6 vectors of 160 numbers, from simulated listeners" in said
    assert "(simulated: nobody listened)" in said
    assert "- A note." in said
