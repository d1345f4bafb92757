"""A baseline's parameters are chosen on the validation slice."""

from __future__ import annotations

from audiomae.recommend.evaluation.tuning import tune


class Hill:
    """A baseline whose fit is its parameters."""

    name = "hill"
    grid = {"x": (3, 1, 2), "y": (0, 5)}  # noqa: RUF012

    def fit(self, parameters):
        return dict(parameters)


def height(fitted):
    return -((fitted["x"] - 2) ** 2) + fitted["y"]


def test_the_best_of_the_grid_is_found_and_what_was_tried_is_said():
    tuned = tune(Hill(), height)
    assert tuned.parameters == {"x": 2, "y": 5}
    assert tuned.fitted == {"x": 2, "y": 5}
    assert tuned.tried[0] == {"x": 3, "y": 0, "score": -1}
    assert {"x": 2, "y": 5, "score": 5} in tuned.tried
    assert len(tuned.tried) == len({tuple(row.items()) for row in tuned.tried})


def test_ties_keep_the_earlier_value():
    assert tune(Hill(), lambda _: 0.0).parameters == {"x": 3, "y": 0}


def test_without_a_validation_slice_the_defaults_stand():
    tuned = tune(Hill(), None)
    assert tuned.parameters == {"x": 3, "y": 0}
    assert tuned.tried == []
