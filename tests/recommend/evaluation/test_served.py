"""Judged lists are the lists that are served, and see nothing of the slice they are judged on."""

from __future__ import annotations

import numpy as np
import pytest

from audiomae.disk.files import read_json, write_json
from audiomae.errors import FingerprintError
from audiomae.recommend.evaluation.baselines.baseline import Context
from audiomae.recommend.evaluation.served import ServedLister, TrainedTowers
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.known_plays import join_plays
from audiomae.recommend.serving.lists import ListRules, make_lists

SLICES = ("train", "validation")


def situation(folder, track_ids, *, slices=SLICES, until=None):
    known = join_plays([RecommenderFolder(folder).read_plays(name) for name in slices], track_ids)
    return Context(known, np.arange(0, len(known.user_ids), 3), until)


@pytest.mark.parametrize("size", ["small_recommender", "larger_recommender"])
def test_judged_lists_are_those_that_are_served(request, size):
    folder = request.getfixturevalue(size)
    towers, served = TrainedTowers.open(folder), Engine.open(folder, slices=SLICES)
    now = situation(folder, served.catalogue.track_ids)
    names = [now.known.user_ids[user] for user in now.users]
    expected = make_lists(served, served.reader.known(names), ListRules(20)).rows.tolist()
    assert towers.lister("towers", now).top(now.users, 20).tolist() == expected
    bare = Engine.open(folder, slices=())
    assert ServedLister("served", bare, now).top(now.users, 20).tolist() == expected


def test_a_group_of_items_is_listed_by_itself(small_recommender):
    towers, served = TrainedTowers.open(small_recommender), Engine.open(small_recommender, slices=())
    now = situation(small_recommender, served.catalogue.track_ids)
    allowed = np.arange(60) % 3 == 0
    lists = towers.lister("towers", now).top(now.users, 10, allowed)
    assert set(lists[lists >= 0] % 3) == {0}
    assert ServedLister("served", served, now).top(now.users, 10, allowed).tolist() == lists.tolist()


def test_a_user_the_towers_never_met_gets_a_list(small_recommender):
    towers = TrainedTowers.open(small_recommender)
    known = join_plays([RecommenderFolder(small_recommender).read_plays("train")], towers.catalogue.track_ids)
    known = known.align(towers.catalogue.track_ids, sorted([*known.user_ids, "stranger"]))
    users = np.array([known.user_ids.index("stranger")])
    lists = towers.lister("towers", Context(known, users)).top(users, 5)
    assert (lists >= 0).all()


def test_towers_of_another_training_are_refused(make_recommender):
    folder = make_recommender(20)
    meta = read_json(folder / "recommender.json")
    write_json(folder / "recommender.json", {**meta, "towers_fingerprint": "other"})
    with pytest.raises(FingerprintError, match=r"recommender\.json: was made with towers other, those in"):
        TrainedTowers.open(folder)
