from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import ConfigError, DataError
from audiomae.similarity.paths import find_path
from audiomae.similarity.rules import SongRules


@pytest.fixture
def circle(build):
    """Songs on half a circle, in order, and as many anywhere."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, np.pi, 41)
    clips = {f"arc-{place:02d}": [[10 * np.cos(a), 10 * np.sin(a), 0, 0]] for place, a in enumerate(angles)}
    clips |= {f"far-{place:02d}": [[*rng.standard_normal(2), *(9 * rng.standard_normal(2))]] for place in range(40)}
    return build(clips, {name: {"artist": name[:3], "title": name, "seconds": 60.0} for name in clips})


def test_a_path_goes_along_the_arc_in_order(circle):
    rules = SongRules(duplicates=True)
    path = [song.track_id for song in find_path(circle, "arc-05", "arc-35", 5, rules=rules)]
    assert path[0] == "arc-05"
    assert path[-1] == "arc-35"
    assert len(path) == 7
    assert all(name.startswith("arc") for name in path)
    assert path == sorted(path)


def test_its_widest_step_is_narrower_than_the_direct_one_and_than_that_of_drawn_songs(orchestra):
    rng, units = np.random.default_rng(0), orchestra.vectors.space.units
    path = find_path(orchestra, "bells-00", "drums-00", 6)
    drawn = [rng.choice(60, 8, replace=False) for _ in range(200)]
    widest = [min(np.einsum("ij,ij->i", units[rows[1:]], units[rows[:-1]])) for rows in drawn]
    assert min(song.cosine for song in path) > units[0] @ units[20]
    assert min(song.cosine for song in path) > np.quantile(widest, 0.99)


@pytest.mark.parametrize("steps", [0, 1, 20, 58, 150])
def test_no_song_comes_twice_however_long_the_path(orchestra, steps):
    path = [song.track_id for song in find_path(orchestra, "bells-00", "strings-00", steps)]
    assert len(set(path)) == len(path) == min(steps, 58) + 2


def test_songs_between_keep_to_the_rules(orchestra):
    path = find_path(orchestra, "bells-00", "strings-00", 6, rules=SongRules(per_artist=1, seconds=(60, 200)))
    between = [song.artist for song in path[1:-1]]
    assert len(set(between)) == len(between)
    assert all(60 <= song.seconds <= 200 for song in path[1:-1])


def test_what_cannot_be_is_refused(orchestra):
    with pytest.raises(ConfigError, match="are the same song"):
        find_path(orchestra, "bells-00", "/music/bells/00.ogg", 3)
    with pytest.raises(ConfigError, match="steps is 201; it must be from 0 to 200"):
        find_path(orchestra, "bells-00", "drums-00", 201)
    with pytest.raises(DataError, match="no song fits between"):
        find_path(orchestra, "bells-00", "drums-00", 3, rules=SongRules(seconds=(1, 2)))
