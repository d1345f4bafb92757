"""What listeners played, as it is known when lists are made: slices of a recommender's tables, and later plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audiomae.errors import DataError, MissingError
from audiomae.listening.tables import Interactions

__all__ = ["SLICES", "join_plays", "read_slice"]

SLICES = ("train", "validation", "test")


def read_slice(folder: Path | str, name: str) -> Interactions:
    """Read one slice of the tables that `train-towers` wrote; it may be empty.

    Args:
        folder: The tables' folder.
        name: train, validation or test.

    Raises:
        MissingError: If the file is missing or cut short.
    """
    path = Path(folder) / f"{name}.parquet"
    try:
        table = pq.read_table(path)
        users, tracks = (
            table[key].combine_chunks().cast(pa.string()).dictionary_encode()
            for key in ("user_id", "track_id")
        )
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file. Run audiomae train-towers again.") from None
    except (OSError, KeyError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise MissingError(f"{path}: damaged ({reason}). Run audiomae train-towers again.") from error
    times = None if not len(table) or table["timestamp"].null_count else table["timestamp"].to_numpy()
    return Interactions.build(
        users.dictionary.to_pylist(),
        tracks.dictionary.to_pylist(),
        users.indices.to_numpy(zero_copy_only=False),
        tracks.indices.to_numpy(zero_copy_only=False),
        times,
        table["weight"].to_numpy(),
    )


def join_plays(parts: Sequence[Interactions], track_ids: Sequence[str]) -> Interactions:
    """Return all plays of some tables, those of tracks that are not listed left out.

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
