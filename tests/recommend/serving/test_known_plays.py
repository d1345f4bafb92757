from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import DataError, MissingError
from audiomae.listening.tables import Interactions
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.known_plays import join_plays


def plays(rows: list[tuple[str, str, int]], timed: bool = True) -> Interactions:
    users, tracks = (sorted({row[place] for row in rows}) for place in (0, 1))
    return Interactions.build(
        users,
        tracks,
        np.array([users.index(row[0]) for row in rows], int),
        np.array([tracks.index(row[1]) for row in rows], int),
        [row[2] for row in rows] if timed else None,
    )


def slice_of(folder, name: str) -> Interactions:
    return RecommenderFolder(folder).read_plays(name)


def rows_of(one: Interactions) -> list[tuple[str, str, int]]:
    times = [0] * len(one) if one.times is None else one.times.tolist()
    return [
        (one.user_ids[user], one.track_ids[track], time)
        for user, track, time in zip(one.users, one.tracks, times, strict=True)
    ]


def test_a_slice_is_read_as_it_was_written(tmp_path):
    given = [("b", "x", 3), ("a", "y", 5)]
    plays(given).write(tmp_path / "tables" / "train.parquet")
    assert rows_of(slice_of(tmp_path, "train")) == given


def test_a_slice_without_times_or_rows_is_read(tmp_path):
    untimed = plays([("a", "x", 0)], timed=False)
    untimed.write(tmp_path / "tables" / "train.parquet")
    assert slice_of(tmp_path, "train").times is None
    untimed.select(np.zeros(1, bool)).write(tmp_path / "tables" / "test.parquet")
    assert len(slice_of(tmp_path, "test")) == 0


def test_a_slice_that_is_not_there_or_damaged_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"train.parquet: no such file. Run audiomae train-towers again"):
        slice_of(tmp_path, "train")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingError, match=r"train.parquet: cannot be read, perhaps cut short"):
        slice_of(tmp_path, "train")


def test_joined_plays_have_the_users_of_all_and_only_the_listed_tracks():
    first, second = plays([("b", "x", 1), ("c", "gone", 2)]), plays([("a", "z", 0), ("b", "x", 1)])
    joined = join_plays([first, second], ["w", "x", "z"])
    assert rows_of(joined) == [("a", "z", 0), ("b", "x", 1)]
    assert joined.track_ids == ["w", "x", "z"]


def test_nothing_joined_is_nothing():
    joined = join_plays([], ["x"])
    assert len(joined) == 0
    assert joined.track_ids == ["x"]


def test_plays_with_and_without_times_are_not_mixed():
    with pytest.raises(DataError, match="some of the plays carry a time and others none"):
        join_plays([plays([("a", "x", 1)]), plays([("a", "y", 0)], timed=False)], ["x", "y"])
