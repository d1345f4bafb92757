"""The plays that towers are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError
from audiomae.listening.tables import Interactions

__all__ = ["TrainingPlays"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPlays:
    """What is trained on: each user's first play of each track, in the order of the table.

    Attributes:
        users: User codes, (examples,).
        items: Track codes.
        times: Seconds since 1970, or None.
        shape: Users and tracks there are.
    """

    users: Ints
    items: Ints
    times: Ints | None
    shape: tuple[int, int]

    @classmethod
    def of(cls, train: Interactions) -> TrainingPlays:
        """Take the first plays.

        Raises:
            DataError: If there is nothing to tell apart: no play, or a single track.
        """
        shape = (len(train.user_ids), len(train.track_ids))
        keys = train.users.astype(np.int64) * shape[1] + train.tracks
        rows = np.sort(np.unique(keys, return_index=True)[1])
        items = train.tracks[rows].astype(np.int64)
        if len(np.unique(items)) < 2:
            raise DataError(
                f"the training slice has {len(rows)} plays of {len(np.unique(items))} tracks; towers need plays of "
                "at least 2 tracks. Give more interactions, or a smaller --split.test and --split.validation."
            )
        times = None if train.times is None else train.times[rows]
        return cls(train.users[rows].astype(np.int64), items, times, shape)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.users)
