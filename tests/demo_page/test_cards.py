"""Scores in words: who wins is said plainly, and too little gives no number."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from audiomae.demo_page.cards import LEAST_SONGS, card_of_judgement, cards_of_evaluation
from audiomae.probing.collection import MEL_STATISTICS, Judgement
from audiomae.probing.measures import Score
from audiomae.recommend.evaluation.bootstrap import Interval


def judged(lead, tracks=100):
    scores = {"box": Score(0.6, 0.5, 0.7), MEL_STATISTICS: Score(0.4, 0.3, 0.5)}
    return Judgement("same_track", tracks, 6 * tracks, tracks, 0.01, scores, {MEL_STATISTICS: Score(*lead)})


@pytest.mark.parametrize(
    ("lead", "outcome", "words"),
    [
        ((0.2, 0.1, 0.3), "better", "Ours beat mel statistics: 0.60 against 0.40."),
        ((0.2, -0.1, 0.5), "open", "No clear difference from mel statistics: 0.60 against 0.40."),
        ((-0.2, -0.3, -0.1), "worse", "Mel statistics are better here: 0.40 against our 0.60."),
    ],
)
def test_who_is_better_follows_from_the_paired_interval(lead, outcome, words):
    card = card_of_judgement(judged(lead), {"box": "ours"})
    assert (card.outcome, card.verdict) == (outcome, words)
    assert [(figure.name, figure.ours) for figure in card.figures] == [
        ("ours", True),
        ("mel statistics", False),
    ]


def test_a_score_on_few_songs_is_said_to_mean_little():
    few = card_of_judgement(judged((0.1, 0.0, 0.2), tracks=30), {}).caution
    assert few.startswith("these figures decide nothing: 30 songs were judged")
    assert card_of_judgement(judged((0.1, 0.0, 0.2)), {}).caution == ""


def test_too_few_songs_give_what_it_takes_and_no_number():
    card = card_of_judgement(Judgement("genre", 12, 70, 1), {})
    assert card.figures == ()
    assert card.asked == (
        "12 songs could be asked about, of 1 genres that have at least 5 of them; it takes 20 songs and two genres."
    )


def part(users=200):
    def value(mean):
        return {f"recall@{k}": Interval(mean, mean - 0.1, mean + 0.1) for k in (5, 10)}

    systems = {"towers": value(0.5), "mel": value(0.3), "popularity": value(0.4), "random": value(0.1)}
    return SimpleNamespace(users=users, systems=systems, differences={"mel": value(0.2)})


def test_lists_stand_beside_mel_statistics_the_most_played_and_chance():
    lists, new = cards_of_evaluation(
        {"all": part(), "cold tracks among themselves": part()}, "towers", "mel", songs=81, new_songs=20
    )
    assert [figure.score for figure in lists.figures] == [0.5, 0.3, 0.4]
    assert (lists.chance, lists.outcome) == (0.1, "better")
    assert "20 songs to choose from" in new.asked
    assert "a list of 10 holds 12 % of the 81 songs" in lists.caution
    assert "a list of 5 holds 25 % of the 20 songs" in new.caution


@pytest.mark.parametrize(
    ("parts", "songs"), [({}, 81), ({"all": part()}, LEAST_SONGS - 1), ({"all": part(users=99)}, 81)]
)
def test_lists_of_few_songs_or_listeners_are_not_judged(parts, songs):
    lists, new = cards_of_evaluation(parts, "towers", "mel", songs=songs, new_songs=3)
    assert (lists.figures, new.figures) == ((), ())
    assert "it takes 40 songs and 100 listeners" in lists.asked
