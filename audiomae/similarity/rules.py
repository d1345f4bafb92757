"""What a list of songs keeps to: tags, length, tempo and key, so many of an artist, no copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.corpus.filters import Where, having
from audiomae.errors import ConfigError, DataError
from audiomae.listening.artists import split_artists
from audiomae.similarity.collection import Collection
from audiomae.similarity.versions import plain_title

__all__ = ["Picker", "SongRules"]

COPY_COSINE = 0.975
"""Cosine, in the space of the collection, from which two songs of the same length count as copies of one recording: 48
copies of 12 real songs (MP3 at 64 and 128 kb/s, Opus at 64, -6 dB) lay above 0.98, all other pairs of 412 below."""
COPY_SECONDS = 3.0
"""By how much the lengths of copies may differ: encoders add silence, rips lose some."""
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = (*NOTES, *(f"{note}m" for note in NOTES))


@dataclass(frozen=True)
class SongRules:
    """What lists of songs keep to.

    Attributes:
        k: Songs of a list; there are fewer where no more fit.
        per_artist: Songs of one artist at most, guests (feat., &, ;) counted; an unknown artist is nobody's. None for
            any number.
        per_album: Songs of one album at most; an unknown album is none. None for any number.
        duplicates: Whether copies of a song that is in the list, or of one that was asked about, may be in it.
        versions: Whether other versions of one may be in it: the same title and artist, live or remastered.
        where: Tags that a song must have, such as {"genre": "Rock"}; of several values any will do.
        seconds: Shortest and longest song, in seconds.
        tempo: Slowest and fastest song, in beats a minute; songs whose tempo is unknown are left out.
        key: Keys that a song may have, such as C, F#m; songs whose key is unknown are left out.
        least: Smallest cosine of a song with what was asked about.
    """

    k: int = 10
    per_artist: int | None = None
    per_album: int | None = None
    duplicates: bool = False
    versions: bool = True
    where: Where = field(default_factory=dict)
    seconds: tuple[float, float] | None = None
    tempo: tuple[float, float] | None = None
    key: Sequence[str] = ()
    least: float | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("k", self.k, least=1)
        for name in ("per_artist", "per_album"):
            if (most := getattr(self, name)) is not None:
                require(name, most, least=1)
        for name, unit in (("seconds", "s"), ("tempo", "beats a minute")):
            span = getattr(self, name)
            if span is not None and (len(span) != 2 or not 0 <= span[0] <= span[1]):
                raise ConfigError(f"{name} is {list(span)}; it must be the least and the most, in {unit}.")
        if wrong := [name for name in self.key if name not in KEYS]:
            raise ConfigError(f"key names {wrong[0]!r}; keys are written as in C, C#, Am, F#m.")
        if self.least is not None:
            require("least", self.least, least=-1, most=1)

    def allowed(self, collection: Collection) -> NDArray[np.bool_]:
        """Return which songs of a collection may be in a list, (tracks,).

        Raises:
            DataError: If a tag has no such value, or tempo or key was not measured.
        """
        tracks = collection.tracks
        fits = having(tracks, self.where)
        if self.seconds is not None:
            seconds = tracks["seconds"].to_numpy()
            fits &= (seconds >= self.seconds[0]) & (seconds <= self.seconds[1])
        for name, wanted in (("tempo", self.tempo), ("key", self.key)):
            if wanted and name not in tracks.column_names:
                raise DataError(
                    f"{collection.vectors.folder}: has no {name}; its corpus was prepared before songs were measured "
                    "for it. Prepare the songs again into another folder, and export that."
                )
        if self.tempo is not None:
            tempo = tracks["tempo"].fill_null(0).to_numpy()
            fits &= (tempo > 0) & (tempo >= self.tempo[0]) & (tempo <= self.tempo[1])
        if self.key:
            fits &= np.isin(np.array([key or "" for key in tracks["key"].to_pylist()]), list(self.key))
        return fits


class Picker:
    """Takes songs one by one, and refuses those that the rules do not allow beside the ones taken.

    Args:
        collection: Where the songs are.
        rules: What to keep to.
        asked: Rows that were asked about: they, their copies and, if the rules say so, their versions are not taken.
    """

    def __init__(self, collection: Collection, rules: SongRules, asked: Iterable[int] = ()) -> None:
        self.collection, self.rules = collection, rules
        self.taken: list[int] = []
        self._asked = list(asked)
        self._songs = set(self._asked)
        self._artists: Counter[str] = Counter()
        self._albums: Counter[tuple[str, str]] = Counter()
        self._versions = {self._version(row) for row in self._asked} if not rules.versions else set()

    @cached_property
    def _units(self) -> NDArray[np.float32]:
        return self.collection.vectors.space.units

    def take(self, row: int) -> bool:
        """Take a song if the rules allow it; return whether it was taken."""
        rules, artists, album = self.rules, self._artists_of(row), self._album(row)
        if row in self._songs:
            return False
        if rules.per_artist is not None and any(self._artists[one] >= rules.per_artist for one in artists):
            return False
        if rules.per_album is not None and album[0] and self._albums[album] >= rules.per_album:
            return False
        if not rules.versions and (version := self._version(row)) in self._versions and version[0]:
            return False
        if not rules.duplicates and self._copies(row):
            return False
        self.taken.append(row)
        self._songs.add(row)
        self._artists.update(artists)
        self._albums[album] += 1
        if not rules.versions:
            self._versions.add(self._version(row))
        return True

    def take_best(self, scores: NDArray[np.floating], count: int) -> None:
        """Take up to `count` songs, the largest scores first; -inf is never taken, and names decide between equals."""
        ids, first = self.collection.track_ids, 0
        there = int(np.count_nonzero(scores > -np.inf))
        reach = min(there, 4 * count + 64)
        while len(self.taken) < count and first < there:
            limit = np.partition(scores, len(scores) - reach)[len(scores) - reach]
            rows = np.flatnonzero(scores >= limit).tolist()
            value = dict(zip(rows, (-scores[rows]).tolist(), strict=True))
            rows.sort(key=lambda row: (value[row], ids[row]))
            for row in rows[first:]:
                if len(self.taken) < count:
                    self.take(row)
            first, reach = len(rows), min(there, 8 * reach)

    def _copies(self, row: int) -> bool:
        """Return whether a song is a copy of one that is taken or was asked about."""
        seconds, length = self.collection.seconds, self.collection.seconds[row]
        beside = [one for one in self._asked + self.taken if abs(seconds[one] - length) <= COPY_SECONDS]
        return bool(beside) and bool((self._units[beside] @ self._units[row] >= COPY_COSINE).any())

    def _artists_of(self, row: int) -> tuple[str, ...]:
        return split_artists(self.collection.artists[row])

    def _album(self, row: int) -> tuple[str, str]:
        return self.collection.albums[row], ""

    def _version(self, row: int) -> tuple[str, str]:
        return plain_title(self.collection.titles[row]), self.collection.artists[row].casefold()
