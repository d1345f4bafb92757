from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.changes import add_tracks, remove_tracks
from audiomae.recommend.ranking.features import FEATURES, describe_candidates
from audiomae.recommend.ranking.ranker import RankerSettings, RankingGroup, fit_ranker
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.explanations import explain_score, nearest_heard, place_of
from audiomae.recommend.serving.lists import ListRules, Lists, make_lists
from audiomae.recommend.serving.users import Users


def lists_of(engine: Engine, users: Users, k: int = 10, **rules: object) -> Lists:
    return make_lists(engine, users, ListRules(k, **rules))  # type: ignore[arg-type]


def give_ranker(folder: Path, *, keeps: str = "ranker") -> Engine:
    """Train trees that like unpopular items, and put them into the folder."""
    recommender = Engine.open(folder, slices=("train",))
    everyone = recommender.reader.known(recommender.reader.names)
    found = recommender.retrieve_candidates(everyone, 60)
    groups = []
    for one, rows, scores in zip(everyone.known, *found, strict=True):
        kept = rows >= 0
        table = describe_candidates(recommender.items, one, rows[kept], scores[kept])
        groups.append(
            RankingGroup(
                table, np.argsort(np.argsort(recommender.items.plays[rows[kept]], kind="stable")) < 5
            )
        )
    ranker = fit_ranker(groups, RankerSettings(candidates=60, trees=30, least_in_leaf=5))
    ranker.meta["keeps"] = keeps
    ranker.save(folder / "ranker", recommender.model.fingerprint)
    return Engine.open(folder)


@pytest.fixture(scope="module")
def small(small_recommender) -> Engine:
    return Engine.open(small_recommender)


@pytest.fixture(scope="module")
def larger(larger_recommender) -> Engine:
    return Engine.open(larger_recommender)


def test_a_list_holds_the_best_scores_of_what_was_not_heard(small):
    one = small.reader.known(["u00"])
    lists = lists_of(small, one, 5)
    scores = small.model.scale * small.catalogue.unit.astype(np.float64) @ one.vectors[0].astype(np.float64)
    scores += 0.4 * small.catalogue.log_prior.astype(np.float64)
    scores[one.heard[0]] = -np.inf
    assert lists.rows[0].tolist() == np.argsort(-scores)[:5].tolist()
    np.testing.assert_allclose(lists.scores[0], np.sort(scores)[::-1][:5], rtol=1e-6)


def test_every_play_is_known_whatever_slice_it_was_in(small, small_recommender):
    one = small.reader.known(["u00"])
    assert len(one.known[0].heard) == 10
    assert len(Engine.open(small_recommender, slices=("train",)).reader.known(["u00"]).known[0].heard) == 7


def test_later_plays_are_known_too(small, small_recommender):
    first = small.catalogue.track_ids[lists_of(small, small.reader.known(["u00"]), 1).rows[0, 0]]
    later = Interactions.build(["newcomer", "u00"], [first], [0, 1], [0, 0], [10**9, 10**9])
    updated = Engine.open(small_recommender, later=later)
    rows = lists_of(updated, updated.reader.known(["u00", "newcomer"]), 60).rows
    assert small.catalogue.row_of[first] not in rows


def test_heard_songs_come_back_when_asked_for(small):
    one = small.reader.known(["u00"])
    rows = lists_of(small, one, 60, heard=True).rows[0]
    assert sorted(rows) == list(range(60))


def test_a_catalogue_smaller_than_k_gives_what_there_is(small):
    one = small.reader.known(["u00"])
    lists = lists_of(small, one, 100)
    left = 60 - len(one.heard[0])
    assert (lists.rows[0] >= 0).sum() == left
    assert (lists.rows[0][left:] == -1).all()
    assert np.isneginf(lists.scores[0][left:]).all()


def test_a_catalogue_of_a_few_hundred_hands_over_all_it_has(small, larger):
    for one, expected in ((small, 60), (larger, 20)):
        users = one.reader.known(["zoe"])
        assert one.retrieve_candidates(users, 20).rows.shape == (1, expected)


def test_a_user_of_whom_nothing_is_known_gets_a_list(small):
    assert (lists_of(small, small.reader.new({}), 10).rows >= 0).all()


@pytest.mark.parametrize("per_artist", [None, 1, 3])
def test_lists_of_a_batch_equal_lists_of_one(larger, per_artist):
    names = larger.reader.names
    batch = lists_of(larger, larger.reader.known(names), 12, per_artist=per_artist)
    for place, name in enumerate(names):
        alone = lists_of(larger, larger.reader.known([name]), 12, per_artist=per_artist)
        assert alone.rows[0].tolist() == batch.rows[place].tolist()
        assert alone.scores[0].tobytes() == batch.scores[place].tobytes()


def test_at_most_so_many_songs_of_an_artist(larger):
    artists = larger.catalogue.items["artist"].to_pylist()
    everyone = larger.reader.known(larger.reader.names)
    free, limited = lists_of(larger, everyone, 40), lists_of(larger, everyone, 40, per_artist=2)
    for rows, first in zip(limited.rows, free.rows, strict=True):
        kept = rows[rows >= 0]
        counts = Counter(artists[row] for row in kept)
        unknown = counts.pop("", 0)
        assert max(counts.values()) == 2
        # Ten artists give two songs each; the songs of unknown artists fill the list.
        assert len(kept) == 40
        assert unknown == 20
        # The order is that of the free list, less what the limit takes.
        assert [row for row in first if row in kept] == [row for row in kept if row in first]


@pytest.mark.parametrize("per_artist", [None, 2])
def test_places_are_kept_for_songs_that_nobody_has_played(larger, per_artist):
    artists = larger.catalogue.items["artist"].to_pylist()
    everyone = larger.reader.known(larger.reader.names)
    new = set(np.flatnonzero(larger.unplayed).tolist())
    assert set(range(630, 700)) <= new
    usual = lists_of(larger, everyone, 12, per_artist=per_artist)
    assert min(len(new & set(rows)) for rows in usual.rows.tolist()) < 10
    lists = lists_of(larger, everyone, 12, per_artist=per_artist, unplayed=10)
    best = lists_of(larger, everyone, 10, per_artist=per_artist, unplayed=10)
    for place, (rows, scores) in enumerate(zip(*lists, strict=True)):
        before, now = usual.rows[place].tolist(), rows.tolist()
        assert len(set(now)) == 12
        assert len(new & set(now)) >= 10
        assert per_artist or set(best.rows[place].tolist()) <= set(now) & new  # the best of them
        assert (np.diff(scores) <= 0).all()
        if len(new & set(before)) >= 10:
            assert now == before
        else:  # what makes way is what stood last, but for the limit
            played = [row for row in before if row not in new]
            left = [row for row in played if row in now]
            assert per_artist or left == played[: len(left)]
        counts = Counter(artists[row] for row in now if artists[row])
        assert not per_artist or max(counts.values()) <= per_artist
    alone = lists_of(larger, larger.reader.known(["u07"]), 12, per_artist=per_artist, unplayed=10)
    assert alone.rows[0].tolist() == lists.rows[everyone.names.index("u07")].tolist()


def test_places_for_songs_nobody_played_go_back_where_there_are_none(small):
    one = small.reader.known(["u00"])
    rock = lists_of(small, one, 60, where={"genre": "Jazz"}).rows[0]
    new = {row for row in rock.tolist() if row >= 0 and small.unplayed[row]}
    lists = lists_of(small, one, 20, where={"genre": "Jazz"}, unplayed=20)
    assert new <= set(lists.rows[0].tolist())
    assert (lists.rows[0] >= 0).sum() == min(20, (rock >= 0).sum())


def test_songs_are_chosen_by_tags(small):
    genres = small.catalogue.items["genre"].to_pylist()
    one = small.reader.known(["zoe"])
    found = {
        genre: {genres[row] for row in lists_of(small, one, 60, where={"genre": genre}).rows[0] if row >= 0}
        for genre in ("Rock", "Pop", "Jazz")
    }
    assert found == {"Rock": {"Rock", "Rock|Pop"}, "Pop": {"Rock|Pop"}, "Jazz": {"Jazz"}}
    both = lists_of(small, one, 60, where={"genre": ["Pop", "Jazz"], "artist": "artist 2"}).rows[0]
    chosen = small.catalogue.items.take(both[both >= 0]).to_pylist()
    assert chosen
    assert all(song["artist"] == "artist 2" and song["genre"] in ("Rock|Pop", "Jazz") for song in chosen)


def test_what_cannot_be_asked_is_refused(small):
    with pytest.raises(
        ConfigError, match=r"unplayed is 11; it must be from 0 to 10 songs, the length of a list"
    ):
        lists_of(small, small.reader.known(["u00"]), 10, unplayed=11)
    one = small.reader.known(["zoe"])
    for named, kind, line in (
        ({"k": 0}, ConfigError, "k is 0; it must be at least 1"),
        ({"per_artist": 0}, ConfigError, "per_artist is 0; it must be at least 1"),
        ({"where": {"mood": "sad"}}, ConfigError, "where names 'mood'; songs are chosen by title, artist"),
        ({"where": {"genre": "Rok"}}, DataError, "no song has genre 'Rok'. Close: Rock"),
    ):
        with pytest.raises(kind, match=line):
            lists_of(small, one, **named)


def test_the_ranker_orders_candidates_and_batches_equal_single_lists(make_recommender):
    folder = make_recommender(700)
    ranked = give_ranker(folder)
    assert ranked.ranker is not None
    names = ranked.reader.names
    everyone = ranked.reader.known(names)
    batch = lists_of(ranked, everyone, 10, per_artist=3)
    plain = lists_of(Engine.open(folder, ranker=False), everyone, 10, per_artist=3)
    assert (batch.rows != plain.rows).any()
    assert (
        ranked.catalogue.plays[lists_of(ranked, everyone, 5).rows].mean()
        < ranked.catalogue.plays[plain.rows[:, :5]].mean()
    )
    for place in range(0, len(names), 4):
        alone = lists_of(ranked, ranked.reader.known([names[place]]), 10, per_artist=3)
        assert alone.rows[0].tolist() == batch.rows[place].tolist()
        assert alone.scores[0].tobytes() == batch.scores[place].tobytes()
    whole = lists_of(ranked, everyone, 10)
    candidates = ranked.retrieve_candidates(everyone, 60)
    for rows, scores, there in zip(*whole, candidates.rows, strict=True):
        assert np.isin(rows, there).all()
        assert (np.diff(scores) <= 0).all()


def test_a_ranker_whose_order_is_not_kept_is_not_used(make_recommender):
    assert give_ranker(make_recommender(60), keeps="retrieval").ranker is None


def test_a_removed_song_is_in_no_list_and_an_added_one_may_be(make_recommender, make_content):
    folder = make_recommender(60)
    before = Engine.open(folder)
    one = before.reader.known(["u00"])
    first = before.catalogue.track_ids[lists_of(before, one, 1).rows[0, 0]]
    remove_tracks(folder / "catalogue", [first])
    add_tracks(folder / "catalogue", make_content(["t900"]), before.model)
    after = Engine.open(folder)
    rows = lists_of(after, after.reader.known(["u00"]), 60).rows[0]
    listed = [after.catalogue.track_ids[row] for row in rows if row >= 0]
    assert first not in listed
    assert "t900" in listed


def test_parts_that_do_not_belong_together_are_refused(make_recommender):
    folder = make_recommender(60)
    path = folder / "recommender.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"towers_fingerprint": "old"}))
    with pytest.raises(
        FingerprintError, match=r"recommender.json: was made with towers old, those in .* are"
    ):
        Engine.open(folder)
    path.unlink()
    with pytest.raises(MissingError, match=r"recommender.json: no such file"):
        Engine.open(folder)
    (folder / "run.json").write_text("{}")
    with pytest.raises(
        MissingError, match=r"its training has not finished. Run the same audiomae train-towers"
    ):
        Engine.open(folder)


def test_the_nearest_heard_songs_come_best_first(small):
    one = small.reader.known(["u05"])
    row = int(lists_of(small, one, 1).rows[0, 0])
    near = nearest_heard(small, one, row, most=3)
    cosines = small.catalogue.unit[one.heard[0]] @ small.catalogue.unit[row]
    assert [heard for heard, _ in near] == one.heard[0][np.argsort(-cosines)[:3]].tolist()
    assert [cosine for _, cosine in near] == pytest.approx(np.sort(cosines)[::-1][:3].tolist(), abs=1e-6)
    assert nearest_heard(small, small.reader.known(["zoe"]), row) == []


def test_the_parts_of_a_score_are_what_it_is_above_the_mean(small):
    one = small.reader.known(["u05"])
    lists = lists_of(small, one, 60, heard=True)
    mean = lists.scores[0].mean()
    row = int(lists.rows[0, 2])
    about = explain_score(small, one, row)
    assert about.retrieval == pytest.approx(lists.scores[0, 2], rel=1e-6)
    assert sum(vars(about.parts).values()) == pytest.approx(lists.scores[0, 2] - mean, abs=1e-4)
    assert about.parts.ranker == 0
    assert sum(vars(about.shares).values()) == pytest.approx(1)
    assert place_of(small.retrieve_candidates(one, 60, exclude_heard=False), row) == 3


def test_with_a_ranker_the_parts_are_its_contributions(make_recommender):
    ranked = give_ranker(make_recommender(60))
    one = ranked.reader.known(["u05"])
    row = int(lists_of(ranked, one, 1).rows[0, 0])
    about = explain_score(ranked, one, row)
    assert set(about.features) == set(FEATURES)
    adds = sum(feature.adds for feature in about.features.values())
    assert sum(vars(about.parts).values()) == pytest.approx(adds)
    assert about.ranker == pytest.approx(lists_of(ranked, one, 1).scores[0, 0])
