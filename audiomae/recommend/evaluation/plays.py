"""The plays an evaluation stands on: what was trained on, what was tuned on, what is to be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.disk.files import fingerprint_of
from audiomae.errors import DataError
from audiomae.listening.tables import Interactions, TableSettings, read_interactions
from audiomae.recommend.artists import code_artists
from audiomae.recommend.evaluation.data import EvaluationData, prepare_data
from audiomae.recommend.folder import SLICES, RecommenderFolder

__all__ = ["EvaluationPlays"]


@dataclass(frozen=True)
class EvaluationPlays:
    """Slices with the same vocabularies; tracks are rows of the catalogue.

    Attributes:
        train: What systems are fitted on.
        validation: What they are tuned on; may be empty.
        known: All that is known when lists are made.
        later: What is to be found.
        artists: Artist code of each track, -1 unknown, (tracks,).
        validation_time: First second of `validation`; None where time does not split.
        later_time: First second of `later`.
        about: What the result's protocol says of it.
        fingerprint: Stands for the slices and the tracks; systems are comparable where it is the same.
    """

    train: Interactions
    validation: Interactions
    known: Interactions
    later: Interactions
    artists: NDArray[np.int64]
    validation_time: int | None
    later_time: int | None
    about: dict[str, Any]
    fingerprint: str

    @classmethod
    def open(cls, folder: Path | str, interactions: str | None = None) -> EvaluationPlays:
        """Read the tables of a recommender.

        Args:
            folder: What `audiomae train-towers` wrote.
            interactions: A table of later plays, to be found instead of the test slice; all slices are then known.

        Raises:
            MissingError: If a file is not there or is cut short.
            DataError: If there is no play to be found.
        """
        folder = Path(folder)
        place = RecommenderFolder(folder)
        protocol, items = place.read_protocol(), place.open_catalogue().items
        slices = [place.read_plays(name) for name in SLICES]
        given = None if interactions is None else read_interactions(TableSettings(interactions))
        parts = slices if given is None else [*slices, given]
        users = sorted({name for part in parts for name in part.user_ids})
        train, validation, test, *more = _align_all(parts, users, items["track_id"])
        about: dict[str, Any] = {"split": protocol}
        if given is None:
            known, later = _concatenate([train, validation]), test
            later_time = _seconds(protocol.get("test_time"))
            about |= {"judged_on": "the test slice", "known": "train and validation"}
        else:
            known, listed = _concatenate([train, validation, test]), more[0]
            later, later_time = _strictly_later(listed, known)
            about |= {
                "judged_on": Path(str(interactions)).name,
                "known": "train, validation and test",
                "plays_of_tracks_not_in_the_catalogue": len(given) - len(listed),
                "plays_not_after_the_known_ones": len(listed) - len(later),
            }
        if not len(later):
            raise DataError(_nothing_to_find(folder, interactions))
        artists = code_artists(items["artist"])
        fingerprint = _fingerprint(users, items["track_id"], [train, validation, test, later])
        del items
        pa.default_memory_pool().release_unused()
        return cls(
            train,
            validation,
            known,
            later,
            artists,
            _seconds(protocol.get("validation_time")),
            later_time,
            about,
            fingerprint,
        )

    def data(self, ks: list[int]) -> EvaluationData:
        """Return what the lists are judged by.

        Raises:
            DataError: If every later play is of a track that its user had played before.
        """
        data = prepare_data(self.train, self.known, self.later, self.artists, until=self.later_time, ks=ks)
        if not data.parts:
            raise DataError(
                f"all {len(self.later)} plays to be found are of tracks their users had played before; nothing new "
                "is left to recommend. Judge on a later or larger slice."
            )
        return data

    def validation_data(self, ks: list[int]) -> EvaluationData | None:
        """Return what baselines are tuned by; None where the validation slice holds nothing new."""
        if not len(self.validation):
            return None
        data = prepare_data(
            self.train, self.train, self.validation, self.artists, until=self.validation_time, ks=ks
        )
        return data if data.parts else None


def _align_all(
    parts: Sequence[Interactions], user_ids: list[str], tracks: pa.ChunkedArray
) -> list[Interactions]:
    """Return the plays with codes that are places in `user_ids` and `tracks`; one list of track names serves all.

    Plays of other tracks are dropped.
    """
    track_ids, listed, users = tracks.to_pylist(), tracks.combine_chunks(), pa.array(user_ids, pa.string())
    aligned = []
    for part in parts:
        row, code = (
            pc.fill_null(pc.index_in(pa.array(names, pa.string()), value_set=among), -1).to_numpy()
            for names, among in ((part.track_ids, listed), (part.user_ids, users))
        )
        places = row[part.tracks]
        kept = places >= 0
        times = None if part.times is None else part.times[kept]
        codes = code[part.users[kept]].astype(np.int32)
        aligned.append(
            Interactions(user_ids, track_ids, codes, places[kept].astype(np.int32), times, part.weights[kept])
        )
    return aligned


def _concatenate(parts: Sequence[Interactions]) -> Interactions:
    """Return the plays of slices with the same vocabularies, sorted as any interactions are."""
    filled = [part for part in parts if len(part)] or list(parts[:1])
    users, tracks, weights = (
        np.concatenate([getattr(part, name) for part in filled]) for name in ("users", "tracks", "weights")
    )
    times = [part.times for part in filled if part.times is not None]
    when = np.concatenate(times) if len(times) == len(filled) else None
    order = np.lexsort((tracks, users) if when is None else (tracks, users, when))
    first = filled[0]
    return Interactions(
        first.user_ids,
        first.track_ids,
        users[order],
        tracks[order],
        None if when is None else when[order],
        weights[order],
    )


def _fingerprint(users: list[str], tracks: pa.ChunkedArray, parts: Sequence[Interactions]) -> str:
    names = tracks.combine_chunks().cast(pa.large_string())
    digest = fingerprint_of(*(buffer.to_pybytes() for buffer in names.buffers() if buffer is not None))
    arrays = [
        fingerprint_of(
            *(
                array.tobytes()
                for array in (part.users, part.tracks, part.times, part.weights)
                if array is not None
            )
        )
        for part in parts
    ]
    return fingerprint_of(users, digest, arrays)


def _seconds(moment: dict[str, Any] | None) -> int | None:
    return None if moment is None else int(moment["seconds"])


def _strictly_later(later: Interactions, known: Interactions) -> tuple[Interactions, int | None]:
    if later.times is None or known.times is None or not len(known):
        return later, None
    first = int(known.times.max()) + 1
    return later.select(np.asarray(later.times >= first)), first


def _nothing_to_find(folder: Path, interactions: str | None) -> str:
    if interactions is None:
        return (
            f"{folder}: its test slice holds 0 plays; at least one is needed. Train with --split.test 0.1, or name "
            "a table of later plays with --interactions."
        )
    return (
        f"{interactions}: 0 plays are of tracks of the catalogue and later than those trained on; at least one is "
        "needed. Name a table of later plays."
    )
