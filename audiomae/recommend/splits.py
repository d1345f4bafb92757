"""Which plays a model learns from, which it is tuned on and which judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require_all
from audiomae.errors import ConfigError, DataError
from audiomae.listening.tables import Interactions
from audiomae.recommend.artists import code_artists

__all__ = ["Split", "SplitSettings", "protocol", "split_interactions"]


@dataclass(frozen=True)
class SplitSettings:
    """How plays are split.

    Attributes:
        kind: time: all plays before one second train, those after it test, for all users alike; per_user: a
            seeded share of each user's tracks, for tables without time; none: all plays train.
        validation: Share of the plays that tune.
        test: Share of the plays that judge.
        cold_tracks: Share of the played tracks that are kept from training, so that they are new in the test.
        cold_artists: Share of the artists whose tracks all are kept from training.
        seed: Seed of the draws.
    """

    kind: Literal["time", "per_user", "none"] = "time"
    validation: float = 0.1
    test: float = 0.1
    cold_tracks: float = 0.0
    cold_artists: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "validation", "test", "cold_tracks", "cold_artists", least=0, below=1)
        for pair in (("validation", "test"), ("cold_tracks", "cold_artists")):
            total = sum(getattr(self, name) for name in pair)
            if total >= 1:
                raise ConfigError(f"{' and '.join(pair)} take {total:g} together; leave some for training.")
        if self.kind == "none" and (self.cold_tracks or self.cold_artists):
            raise ConfigError("cold tracks and artists are for judging, and kind none has no test; use time.")


@dataclass(frozen=True)
class Split:
    """Three slices of plays with the same vocabularies, and what of the tracks is new after training.

    Attributes:
        train: Plays to learn from.
        validation: Plays to tune on.
        test: Plays to judge by.
        validation_time: First second of the validation slice; None where time does not split.
        test_time: First second of the test slice.
        cold_track: Tracks without a play in train whose artist has one, or is unknown; (tracks,).
        cold_artist: Tracks without a play in train of artists without one; (tracks,).
        dropped: Plays before the test that were dropped because their track was drawn to be cold.
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    validation_time: int | None
    test_time: int | None
    cold_track: NDArray[np.bool_]
    cold_artist: NDArray[np.bool_]
    dropped: int = 0


def split_interactions(interactions: Interactions, config: SplitSettings, artists: Sequence[str]) -> Split:
    """Split plays.

    With kind time, a second lies in one slice alone: a boundary falls where the time changes, as close
    to the asked share as that allows. With kind per_user, all plays of a user and a track stay together,
    and each user keeps at least one track in train.

    Args:
        interactions: Plays.
        config: How to split.
        artists: Artist of each track of the vocabulary, empty where unknown.

    Raises:
        DataError: If the plays have no time, or too few different ones, or nothing is left to train on.
        ValueError: If there is not one artist a track.
    """
    if len(artists) != len(interactions.track_ids):
        raise ValueError(
            f"{len(artists)} artists for {len(interactions.track_ids)} tracks; one each is needed"
        )
    unnamed = np.array([not name for name in artists], dtype=bool)
    groups = _artist_groups(artists, unnamed)
    validation_time = test_time = None
    if config.kind == "time":
        slices, validation_time, test_time = _slice_by_time(interactions, config)
    elif config.kind == "per_user":
        slices = _slice_by_user(interactions, config)
    else:
        slices = np.zeros(len(interactions), dtype=np.int8)
    held = _draw_cold(interactions, groups, unnamed, config)
    dropped = held[interactions.tracks] & (slices < 2)
    train = interactions.select((slices == 0) & ~dropped)
    if not len(train):
        raise DataError(
            f"none of {len(interactions)} plays is left to train on; lower validation, test and the cold shares."
        )
    played = np.zeros(len(groups), dtype=bool)
    played[train.tracks] = True
    known = np.zeros(int(groups.max(initial=-1)) + 1, dtype=bool)
    known[groups[train.tracks]] = True
    artist_known = known[groups] | unnamed
    return Split(
        train,
        interactions.select((slices == 1) & ~dropped),
        interactions.select(slices == 2),
        validation_time,
        test_time,
        ~played & artist_known,
        ~played & ~artist_known,
        int(dropped.sum()),
    )


def protocol(split: Split, config: SplitSettings) -> dict[str, Any]:
    """Return what a result file says of the split: settings, times, counts."""
    slices = {"train": split.train, "validation": split.validation, "test": split.test}
    said = {
        "time": "global: every play of train is earlier than every play of validation, and those than test's",
        "per_user": "a seeded share of each user's tracks, time unknown or not used",
        "none": "all plays train",
    }
    counts = {
        name: {
            "plays": len(plays),
            "users": len(np.unique(plays.users)),
            "tracks": len(np.unique(plays.tracks)),
        }
        for name, plays in slices.items()
    }
    test = split.test.tracks
    return {
        "split": asdict(config),
        "meaning": said[config.kind],
        "validation_time": _moment(split.validation_time),
        "test_time": _moment(split.test_time),
        "slices": counts,
        "tracks": len(split.cold_track),
        "cold_tracks": int(split.cold_track.sum()),
        "cold_artist_tracks": int(split.cold_artist.sum()),
        "test_plays_of_cold_tracks": int(split.cold_track[test].sum()),
        "test_plays_of_cold_artists": int(split.cold_artist[test].sum()),
        "plays_dropped_to_make_tracks_cold": split.dropped,
        "fingerprints": {name: plays.fingerprint for name, plays in slices.items()},
    }


def _moment(seconds: int | None) -> dict[str, Any] | None:
    if seconds is None:
        return None
    return {"seconds": seconds, "utc": datetime.fromtimestamp(seconds, UTC).isoformat()}


def _slice_by_time(
    interactions: Interactions, config: SplitSettings
) -> tuple[NDArray[np.int8], int | None, int | None]:
    """Slice of each play, 0 train, 1 validation, 2 test; and the first seconds of the last two."""
    times = interactions.times
    if times is None:
        raise DataError(
            "the interactions have no timestamp, which kind time splits by. Use kind per_user, or add the column."
        )
    starts = np.flatnonzero(np.diff(times)) + 1  # rows at which a new second begins
    needed = 1 + (config.validation > 0) + (config.test > 0)
    if len(starts) + 1 < needed:
        raise DataError(
            f"the plays have {len(starts) + 1} different times and {needed} slices need one each. "
            "Use kind per_user, or a table with more times."
        )
    rows = len(times)
    slices = np.zeros(rows, dtype=np.int8)
    first: dict[int, int | None] = {1: None, 2: None}
    end = len(starts)  # boundaries before this one are free
    for number, share, others in ((2, config.test, int(config.validation > 0)), (1, config.validation, 0)):
        if not share:
            continue
        asked = rows - config.test * rows - (config.validation * rows if number == 1 else 0)
        free = starts[others:end]
        place = others + int(np.abs(free - asked).argmin())
        row, end = int(starts[place]), place
        slices[row:] = np.where(slices[row:] == 0, number, slices[row:])
        first[number] = int(times[row])
    return slices, first[1], first[2]


def _slice_by_user(interactions: Interactions, config: SplitSettings) -> NDArray[np.int8]:
    """Slice of each play: the tracks of a user in a drawn order, the first share test, the next validation."""
    generator = np.random.default_rng(config.seed)
    keys = interactions.users.astype(np.int64) * len(interactions.track_ids) + interactions.tracks
    pairs, pair_of_play = np.unique(keys, return_inverse=True)
    users = pairs // max(1, len(interactions.track_ids))
    order = np.lexsort((generator.random(len(pairs)), users))
    counts = np.bincount(users, minlength=len(interactions.user_ids))
    first = np.cumsum(counts) - counts
    sorted_users = users[order]
    rank = np.arange(len(pairs)) - first[sorted_users]
    start = generator.random(len(counts))  # a share of 0.1 takes one of four tracks from four users in ten
    position = (rank + start[sorted_users]) / counts[sorted_users]
    drawn = np.where(position < config.test, 2, np.where(position < config.test + config.validation, 1, 0))
    drawn[rank == counts[sorted_users] - 1] = 0
    slices = np.empty(len(pairs), dtype=np.int8)
    slices[order] = drawn
    split: NDArray[np.int8] = slices[pair_of_play.reshape(-1)]
    return split


def _artist_groups(artists: Sequence[str], unnamed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of each track's artist; a track of unknown artist is a group by itself."""
    groups = code_artists(artists)
    groups[unnamed] = groups.max(initial=-1) + 1 + np.arange(int(unnamed.sum()))
    return groups


def _draw_cold(
    interactions: Interactions, groups: NDArray[np.int64], unnamed: NDArray[np.bool_], config: SplitSettings
) -> NDArray[np.bool_]:
    """Draw tracks to keep from training: whole artists first, then single tracks of artists that stay."""
    cold = np.zeros(len(groups), dtype=bool)
    if not config.cold_tracks and not config.cold_artists:
        return cold
    generator = np.random.default_rng([config.seed, 1])
    played = np.unique(interactions.tracks)
    artists = np.unique(groups[played[~unnamed[played]]])
    if config.cold_artists and len(artists) < 2:
        raise DataError(
            f"{len(artists)} artists are known and cold_artists keeps some from training; it needs 2 or more. "
            "Give a tracks table with artists, or use cold_tracks."
        )
    chosen = generator.permutation(artists)[: _share_of(config.cold_artists, len(artists))]
    cold |= np.isin(groups, chosen)
    left = generator.permutation(played[~cold[played]])
    # One track of each known artist stays, so that the artist's others are new tracks of an artist heard in training.
    _, anchors = np.unique(groups[left], return_index=True)
    free = unnamed[left]
    free |= ~np.isin(np.arange(len(left)), anchors)
    cold[left[free][: _share_of(config.cold_tracks, len(played))]] = True
    return cold


def _share_of(share: float, count: int) -> int:
    return max(1, round(share * count)) if share and count else 0
