"""The map: near songs lie near, in a frame from 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest

from audiomae.demo_page.projection import place_on_map


@pytest.mark.parametrize("songs", [4, 60])
def test_two_kinds_of_song_lie_apart(songs):
    draws = np.random.default_rng(0)
    kind = np.arange(songs) % 2
    vectors = draws.normal(size=(songs, 16)) * 0.1 + np.where(kind, 1, -1)[:, None]
    places = place_on_map(vectors, seed=0)
    assert places.min() == 0
    assert places.max() == 1
    far = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(far, np.inf)
    assert (kind[far.argmin(axis=1)] == kind).all()


@pytest.mark.parametrize("songs", [1, 2, 30])
def test_songs_that_are_all_alike_lie_in_the_middle(songs):
    assert place_on_map(np.ones((songs, 4)), seed=0).tolist() == [[0.5, 0.5]] * songs


def test_the_same_seed_draws_the_same_map():
    vectors = np.random.default_rng(1).normal(size=(20, 8))
    assert (place_on_map(vectors, seed=3) == place_on_map(vectors, seed=3)).all()
