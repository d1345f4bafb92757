"""What users played, as it is known when lists are made: slices of a recommender's tables, and later plays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audiomae.errors import DataError
from audiomae.listening.tables import Interactions

__all__ = ["join_plays"]


def join_plays(parts: Sequence[Interactions], track_ids: Sequence[str]) -> Interactions:
    """Return all plays of some tables, those of tracks that are not asked for left out.

    Args:
        parts: Tables, each with its own vocabularies; empty ones are skipped.
        track_ids: All tracks, sorted; the result's track codes are places in it.

    Raises:
        DataError: If some plays carry a time and others none.
    """
    parts = [part for part in parts if len(part)]
    if not parts:
        return Interactions([], list(track_ids), *(np.zeros(0, np.int32),) * 2, None, np.zeros(0, np.float32))
    if len({part.times is None for part in parts}) > 1:
        raise DataError(
            "some of the plays carry a time and others none. Give all tables a timestamp column, or none."
        )
    users, tracks = (
        pc.unique(pa.concat_arrays([pa.array(names, pa.string()) for names in lists])).to_pylist()
        for lists in ([part.user_ids for part in parts], [part.track_ids for part in parts])
    )
    places = {name: place for place, name in enumerate(users)}, {name: row for row, name in enumerate(tracks)}
    codes = [
        (
            np.array([places[0][name] for name in part.user_ids])[part.users],
            np.array([places[1][name] for name in part.track_ids])[part.tracks],
        )
        for part in parts
    ]
    times = [part.times for part in parts if part.times is not None]
    joined = Interactions.build(
        users,
        tracks,
        np.concatenate([user for user, _ in codes]),
        np.concatenate([track for _, track in codes]),
        np.concatenate(times) if times else None,
        np.concatenate([part.weights for part in parts]),
    )
    return joined.align(track_ids)
