from __future__ import annotations

import numpy as np
import pytest

from audiomae.vectors import space as module
from audiomae.vectors.space import SearchSpace


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((200, 30)) @ rng.standard_normal((30, 30)) + 5).astype(np.float32)


def test_mean_and_deviation_of_cosines_are_those_of_every_pair(vectors):
    space = SearchSpace.fit(vectors)
    cosines = space.cosines(space.units).astype(np.float64)
    np.fill_diagonal(cosines, np.nan)
    np.testing.assert_allclose(space.means, np.nanmean(cosines, axis=1), atol=1e-5)
    np.testing.assert_allclose(space.deviations, np.nanstd(cosines, axis=1), atol=1e-4)


def test_rows_project_to_themselves_whatever_comes_with_them(vectors):
    space = SearchSpace.fit(vectors)
    np.testing.assert_allclose(space.project(vectors[7:9]), space.units[7:9], atol=1e-5)


def test_few_rows_correct_no_hubs(vectors):
    space = SearchSpace.fit(vectors[:20])
    cosines = space.cosines(space.units)
    assert not space.corrects
    np.testing.assert_array_equal(space.scores(cosines), cosines)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tiny_and_constant_collections_stay_finite(vectors, rows):
    for values in (vectors[:rows], np.ones((rows, 30), np.float32), np.ones((200, 30), np.float32)):
        space = SearchSpace.fit(values)
        assert np.isfinite(space.cosines(space.units)).all()


def test_the_axes_from_either_product_and_from_the_randomised_one_agree(vectors, monkeypatch):
    exact = SearchSpace.fit(vectors)
    wide = SearchSpace.fit(vectors[:25])
    assert wide.units.shape[1] == 24
    monkeypatch.setattr(module, "EXACT", 1)
    drawn = SearchSpace.fit(vectors)
    np.testing.assert_allclose(drawn.cosines(drawn.units), exact.cosines(exact.units), atol=1e-3)
