from __future__ import annotations

from dataclasses import replace

from audiomae.cli.explain import show
from audiomae.recommend.serving.explanations import Explanation, HeardSong, NamedSong, Parts

TOLD = Explanation(
    cosine=0.5,
    retrieval=3.0,
    parts=Parts(2.0, -1.0, 0.0),
    shares=Parts(2 / 3, 1 / 3, 0.0),
    ranker=None,
    features=None,
    user="u01",
    track=NamedSong("t1", "Sunrise", "Someone", "a.ogg"),
    heard=False,
    place=3,
    place_of_retrieval=3,
    items=1200,
    nearest_heard=[HeardSong("t2", "", "", "b.ogg", 0.75)],
)


def test_place_parts_and_nearest_songs_are_told(capsys):
    show(TOLD)
    shown = capsys.readouterr().out
    assert "Sunrise — Someone for user u01: place 3 of 1,200 songs." in shown
    for told in ("cosine", "+2.000", "67%", "popularity", "-1.000", "b.ogg", "0.750"):
        assert told in shown
    assert "ranker" not in shown


def test_what_a_ranker_adds_is_told_where_there_is_one(capsys):
    show(replace(TOLD, ranker=1.5, parts=Parts(1, 1, 0.5), shares=Parts(0.4, 0.4, 0.2)))
    assert "ranker" in capsys.readouterr().out


def test_a_user_who_heard_nothing_and_a_heard_song_are_told_in_a_sentence(capsys):
    show(replace(TOLD, user="new", nearest_heard=[], heard=True, place=None))
    shown = capsys.readouterr().out
    assert "for the new user: not among the first candidates, heard before, so in no list" in shown
    assert "has heard nothing that is in the catalogue" in shown
