"""Scores become probabilities that mean what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.errors import DataError
from audiomae.recommend.evaluation.calibration import (
    Isotonic,
    Platt,
    calibration_error,
    judge_probabilities,
    log_loss,
    normalised_entropy,
)


def draw_pairs(seed, *, examples=40_000, slope=1.5, intercept=-0.7):
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 2, examples)
    return scores, generator.random(examples) < 1 / (1 + np.exp(-(slope * scores + intercept)))


def test_platt_recovers_the_sigmoid_that_made_the_labels():
    found = Platt.fit(*draw_pairs(0))
    assert found.slope == pytest.approx(1.5, abs=0.05)
    assert found.intercept == pytest.approx(-0.7, abs=0.05)


@pytest.mark.parametrize("kind", [Platt, Isotonic])
def test_a_calibrator_fitted_on_one_slice_is_calibrated_on_the_next(kind):
    scores, labels = draw_pairs(1)
    wrong = 1 / (1 + np.exp(-3 * scores))
    before = judge_probabilities(wrong, labels)
    after = judge_probabilities(kind.fit(*draw_pairs(0))(scores), labels)
    assert after.calibration_error < 0.015 < 0.05 < before.calibration_error
    assert after.log_loss < before.log_loss
    assert after.normalised_entropy < 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=3, max_size=30))
def test_calibration_never_reverses_an_order(examples):
    scores, labels = np.array([score for score, _ in examples]), np.array([label for _, label in examples])
    if labels.all() or not labels.any():
        return
    for kind in (Platt, Isotonic):
        probabilities = kind.fit(scores, labels)(np.sort(scores))
        assert (np.diff(probabilities) >= -1e-12).all()
        assert (probabilities >= 0).all()
        assert (probabilities <= 1).all()


def test_separable_scores_stay_finite():
    found = Platt.fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True]))
    assert math.isfinite(found.slope)
    assert 0.5 < found(np.array([3.0]))[0] < 1


def test_scores_all_alike_give_the_share_of_positives():
    probabilities = Platt.fit(np.zeros(400), np.arange(400) < 100)(np.zeros(1))
    assert probabilities[0] == pytest.approx(0.25, abs=0.005)


def test_log_loss_and_normalised_entropy_equal_a_hand_count():
    labels = np.array([True, False, False, False])
    p = np.array([0.5, 0.5, 0.25, 0.25])
    loss = -(2 * math.log(0.5) + 2 * math.log(0.75)) / 4
    said_nothing = -(math.log(0.25) + 3 * math.log(0.75)) / 4
    assert log_loss(p, labels) == pytest.approx(loss)
    assert normalised_entropy(p, labels) == pytest.approx(loss / said_nothing)
    assert normalised_entropy(np.full(4, 0.25), labels) == pytest.approx(1)


def test_a_sure_mistake_is_not_infinite():
    assert log_loss(np.array([1.0]), np.array([False])) == pytest.approx(-math.log(1e-12), rel=1e-3)


def test_calibration_error_equals_a_hand_count():
    p = np.array([0.1, 0.1, 0.9, 0.9])
    labels = np.array([False, True, True, True])
    assert calibration_error(p, labels, bins=2) == pytest.approx((abs(0.2 - 1) + abs(1.8 - 2)) / 4)


def test_the_order_of_equal_probabilities_does_not_matter():
    labels = np.arange(100) < 20
    assert calibration_error(np.full(100, 0.2), labels) == pytest.approx(0)


def test_labels_all_alike_are_refused():
    with pytest.raises(DataError, match=r"calibration on 3 positives of 3 examples; both kinds are needed"):
        Platt.fit(np.arange(3.0), np.ones(3, bool))
