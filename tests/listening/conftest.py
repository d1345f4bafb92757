"""What tests of tables of plays share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audiomae.listening.interactions import Interactions

Row = tuple[str, str, int | None, float]


def rows_of_plays(plays: Interactions) -> list[Row]:
    times = [None] * len(plays) if plays.times is None else plays.times.tolist()
    return [
        (plays.user_ids[user], plays.track_ids[track], time, weight)
        for user, track, time, weight in zip(
            plays.users, plays.tracks, times, plays.weights.tolist(), strict=True
        )
    ]


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Interactions], list[Row]]:
    """What turns plays into rows of user, track, time and weight."""
    return rows_of_plays
