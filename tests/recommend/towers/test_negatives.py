"""Negatives: never what a user is known to have played."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.errors import ConfigError
from audiomae.recommend.towers.negatives import KnownPositives, NegativeSettings, draw_uniform, log_offsets

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40)


def known_of(pairs: list[tuple[int, int]]) -> KnownPositives:
    codes = np.array(pairs, np.int64).reshape(-1, 2)
    return KnownPositives(codes[:, 0], codes[:, 1], (5, 10))


@given(PAIRS, st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_every_known_positive_of_every_user_is_found_in_the_columns(pairs, columns):
    known, users = known_of(pairs), np.arange(5)
    expected = [[(user, column) in set(pairs) for column in columns] for user in range(5)]
    assert known.in_columns(users, np.array(columns)).tolist() == expected
    assert known.contains(users[:, None], np.array(columns)[None]).tolist() == expected


@given(PAIRS, st.integers(0, 99))
def test_uniform_negatives_are_never_positives(pairs, seed):
    known, users = known_of(pairs), np.array([0, 1, 2, 3, 4, 0])
    drawn, valid = draw_uniform(known, users, np.arange(10), 6, np.random.default_rng(seed))
    assert drawn.shape == valid.shape == (6, 6)
    assert not (known.contains(users[:, None], drawn) & valid).any()


def test_a_user_who_played_everything_has_no_negative():
    known = known_of([(0, item) for item in range(10)])
    _, valid = draw_uniform(known, np.array([0, 1]), np.arange(10), 4, np.random.default_rng(0))
    assert valid.tolist() == [[False] * 4, [True] * 4]


def test_uniform_negatives_are_even_over_what_was_not_played():
    known = known_of([(0, 0), (0, 1)])
    drawn, valid = draw_uniform(known, np.zeros(1, np.int64), np.arange(10), 80_000, np.random.default_rng(0))
    counts = np.bincount(drawn[valid], minlength=10)
    assert counts[:2].tolist() == [0, 0]
    assert np.abs(counts[2:] / 10_000 - 1).max() < 0.05


def test_negatives_from_the_batch_need_no_offset_for_popularity_apart():
    counts = np.array([6, 2, 0])
    in_batch, uniform = NegativeSettings(kind="in_batch"), NegativeSettings(kind="uniform")
    assert log_offsets(counts, in_batch, 8, "separate").tolist() == [0, 0, 0]
    assert log_offsets(counts, uniform, 8, "learned").tolist() == [0, 0, 0]
    # q is 0.75 and 0.25; an even draw over the two played tracks 0.5.
    assert np.exp(log_offsets(counts, in_batch, 8, "learned"))[:2] == pytest.approx([0.5 / 0.75, 0.5 / 0.25])
    assert np.exp(log_offsets(counts, uniform, 8, "none"))[:2] == pytest.approx([0.75 / 0.5, 0.25 / 0.5])


def test_mixed_negatives_are_met_as_often_as_both_sources_say():
    settings = NegativeSettings(kind="mixed", extra=8)
    found = np.exp(log_offsets(np.array([6, 2]), settings, 8, "learned"))
    assert found == pytest.approx([0.5 / (0.5 * 0.75 + 0.25), 0.5 / (0.5 * 0.25 + 0.25)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"extra": 0}, r"negatives\.extra is 0; it must be at least 1"), ({"warmup": 2.0}, r"warmup is 2\.0")],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        NegativeSettings(**changes)
