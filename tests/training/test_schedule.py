"""The learning rate over a training."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.errors import ConfigError
from audiomae.training.schedule import learning_rate_at
from audiomae.training.settings import Length, LoopSettings


def test_the_rate_rises_straight_to_the_peak():
    rates = [learning_rate_at(progress, peak=2e-3, warmup=0.2) for progress in (0.05, 0.1, 0.15, 0.2)]
    assert rates == pytest.approx([0.5e-3, 1e-3, 1.5e-3, 2e-3])


def test_the_rate_falls_as_half_a_cosine_to_a_share_of_the_peak():
    rates = [
        learning_rate_at(progress, peak=1.0, warmup=0.2, floor=0.1) for progress in (0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    # By hand: 0.1 + 0.9 (1 + cos(pi t)) / 2 at t = 0, 1/4, 1/2, 3/4, 1.
    assert rates == pytest.approx([1.0, 0.868198, 0.55, 0.231802, 0.1], abs=1e-6)


def test_without_a_warm_up_the_first_step_has_the_peak():
    assert learning_rate_at(0.0, peak=1.0, warmup=0.0) == 1.0


def test_the_very_first_step_learns_a_little():
    assert 0 < learning_rate_at(0.0, peak=1.0, warmup=0.05) < 0.05


@given(first=st.floats(0, 1), second=st.floats(0, 1), warmup=st.floats(0, 0.99))
def test_the_rate_rises_then_falls_and_stays_within_its_bounds(first, second, warmup):
    low, high = sorted((first, second))
    rates = [learning_rate_at(progress, peak=1.0, warmup=warmup) for progress in (low, high)]
    assert all(0 < rate <= 1.0 for rate in rates)
    if high < warmup:
        assert rates[0] <= rates[1]
    if low >= warmup:
        assert rates[0] >= rates[1] >= 0.01


def test_progress_follows_the_steps_or_the_clock():
    assert Length(steps=200).progress(50, elapsed=1e9) == 0.25
    assert Length(minutes=2.0).progress(10**9, elapsed=30.0) == 0.25
    assert Length(steps=200).progress(300, elapsed=0.0) == 1.0
    assert Length(minutes=2.0).progress(0, elapsed=500.0) == 1.0


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ({}, "give either --steps or --minutes"),
        ({"steps": 3, "minutes": 1.0}, "give either --steps or --minutes"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"minutes": -1.0}, r"minutes is -1\.0; it must be above 0"),
    ],
)
def test_a_length_that_says_nothing_is_refused(length, message):
    with pytest.raises(ConfigError, match=message):
        Length(**length)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "train.batch is 0; it must be at least 1"),
        ({"learning_rate": -1e-3}, "train.learning_rate is -0.001"),
        ({"warmup": 1.0}, "train.warmup is 1.0; it must be at least 0 and below 1"),
        ({"batch": 10, "accumulate": 4}, "train.batch 10 cannot be cut into 4 equal parts"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LoopSettings(**settings)
