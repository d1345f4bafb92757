"""Bootstrap intervals hold the truth about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import ConfigError
from audiomae.recommend.evaluation.bootstrap import Interval, bootstrap_means, interval_of


def interval_of_mean(values: np.ndarray, *, draws: int, generator: np.random.Generator) -> Interval:
    values = np.atleast_2d(values)
    return interval_of(float(values.mean()), bootstrap_means([values], draws, generator)[0])


def interval_of_difference(
    first: np.ndarray, second: np.ndarray, *, draws: int, generator: np.random.Generator
) -> Interval:
    one, other = bootstrap_means([first[None], second[None]], draws, generator)
    return interval_of(float(first.mean() - second.mean()), one - other)


def test_the_interval_covers_the_true_mean_in_nineteen_of_twenty_simulations():
    held = 0
    for trial in range(200):
        generator = np.random.default_rng(trial)
        found = interval_of_mean(generator.exponential(1.0, 200), draws=300, generator=generator)
        held += found.low <= 1.0 <= found.high
    assert 180 <= held <= 199


def test_the_same_generator_gives_the_same_interval():
    values = np.arange(10.0)
    one, other = (interval_of_mean(values, draws=50, generator=np.random.default_rng(3)) for _ in range(2))
    assert one == other
    assert one.mean == 4.5


def test_a_paired_difference_is_surer_than_two_means():
    generator = np.random.default_rng(0)
    users = generator.normal(0, 10, 300)
    found = interval_of_difference(
        users + 0.5 + generator.normal(0, 0.1, 300), users, draws=500, generator=generator
    )
    assert 0.4 < found.low < found.mean < found.high < 0.6


def test_no_difference_from_itself():
    values = np.random.default_rng(0).random(50)
    found = interval_of_difference(values, values, draws=20, generator=np.random.default_rng(0))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_seeds_of_training_widen_the_interval():
    users = np.random.default_rng(0).random(400)
    alike, apart = np.stack([users, users]), np.stack([users - 0.3, users + 0.3])
    one, other = (
        interval_of_mean(values, draws=400, generator=np.random.default_rng(1)) for values in (alike, apart)
    )
    assert one.mean == pytest.approx(other.mean)
    assert other.high - other.low > 3 * (one.high - one.low)


def test_many_draws_are_made_in_parts():
    means = bootstrap_means([np.ones((1, 3_000_000))], 3, np.random.default_rng(0))[0]
    assert means.tolist() == [1.0, 1.0, 1.0]


def test_different_users_are_refused():
    with pytest.raises(ConfigError, match=r"paired bootstrap of 3 against 2 users; give the same users"):
        interval_of_difference(np.ones(3), np.ones(2), draws=5, generator=np.random.default_rng(0))


def test_nobody_is_refused():
    with pytest.raises(ConfigError, match=r"a bootstrap of 0 users in 5 draws; at least one of each"):
        bootstrap_means([np.ones((1, 0))], 5, np.random.default_rng(0))
