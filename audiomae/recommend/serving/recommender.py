"""A trained recommender, open: lists for users, why a song is in one, and songs that come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiomae.corpus.filters import Where
from audiomae.errors import ConfigError
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions, TableSettings, read_interactions
from audiomae.progress import SILENT, Progress
from audiomae.recommend.ids import read_ids
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.explanations import Explanation, explain_song
from audiomae.recommend.serving.lists import ListRules, make_lists
from audiomae.recommend.serving.songs import UserList, list_songs, write_lists
from audiomae.recommend.serving.updates import CatalogueUpdate, update_folder
from audiomae.recommend.serving.users import Users

__all__ = ["Recommender"]


class Recommender:
    """A recommender folder, open.

    Example:
        recommender = audiomae.Recommender.open("recommender/")
        for song in recommender.recommend("u01", k=5)[0].songs:
            print(song.title, song.score)
    """

    def __init__(self, folder: Path, engine: Engine, later: Interactions | None, ranker: bool) -> None:
        """Hold what `open` has read."""
        self.folder = folder
        self.engine = engine
        self._opened_with = later, ranker

    @classmethod
    def open(
        cls, folder: Path | str, *, later: Interactions | Path | str | None = None, ranker: bool = True
    ) -> Recommender:
        """Open a folder that `audiomae train-towers` has finished.

        Args:
            folder: The recommender.
            later: Plays that came after the training, known too: a CSV or Parquet table, or read already.
            ranker: Whether to use the second stage, where train-ranker has left one.

        Raises:
            MissingError: If a file is missing, cut short or damaged.
            DataError: If the plays make no sense.
            FingerprintError: If the parts do not belong together.
        """
        if isinstance(later, str | Path):
            later = read_interactions(TableSettings(str(later)))
        return cls(Path(folder), Engine.open(folder, later=later, ranker=ranker), later, ranker)

    def __len__(self) -> int:
        """Return the number of songs of the catalogue."""
        return len(self.engine.catalogue)

    def __repr__(self) -> str:
        """Show where it lies and its sizes."""
        stages = f"{self.stages} stage{'s' * (self.stages > 1)}"
        return f"Recommender({str(self.folder)!r}, {len(self.users)} users × {len(self)} songs, {stages})"

    @property
    def fingerprint(self) -> str:
        """Stands for the training."""
        return str(self.engine.meta["fingerprint"])

    @property
    def stages(self) -> int:
        """2 where a ranker orders what the towers find, 1 where it does not."""
        return 1 if self.engine.ranker is None else 2

    @property
    def users(self) -> list[str]:
        """Every user there is, sorted."""
        return self.engine.reader.names

    @property
    def track_ids(self) -> list[str]:
        """Every song of the catalogue, sorted."""
        return self.engine.catalogue.track_ids

    def recommend(
        self,
        user: str | None = None,
        *,
        users: str | Sequence[str] = (),
        new: Mapping[str, Any] | None = None,
        liked: str | Sequence[str] = (),
        k: int = 10,
        per_artist: int | None = None,
        unplayed: int = 0,
        where: Where | None = None,
        heard: bool = False,
    ) -> list[UserList]:
        """Make lists for one kind of user: one by id, several by id, or one without an id.

        Args:
            user: Id of a user.
            users: Ids of several users.
            new: What is known of a user without an id, such as {"age": 30}; {} for nothing.
            liked: Songs that a user without an id likes, each named as `track` is in `explain`.
            k: Songs of a list.
            per_artist: Songs of one artist in a list, at most; any number by default.
            unplayed: Songs of a list, at least, that nobody is known to have played.
            where: Tags that songs must have, such as {"genre": "Rock"}; of several values any will do.
            heard: Whether songs that a user has heard may be in their list.

        Returns:
            A list a user, in the order of the ids.

        Raises:
            ConfigError: If no kind of user is given or several, or a number is out of range.
            DataError: If a user, track, field or tag is unknown.
        """
        rules = ListRules(k, per_artist, unplayed, where or {}, heard)
        found = self.find_users(user, users, new, liked)
        return list_songs(self.engine, found, make_lists(self.engine, found, rules))

    def explain(
        self,
        track: str,
        user: str | None = None,
        *,
        new: Mapping[str, Any] | None = None,
        liked: str | Sequence[str] = (),
        nearest: int = 5,
    ) -> Explanation:
        """Say what a song's score is made of for one user, and which of their songs are nearest to it.

        Args:
            track: The song: its id, its path or the end of that, or its title where no other has it.
            user: Id of the user.
            new: What is known of a user without an id.
            liked: Songs that a user without an id likes, each named so too.
            nearest: Heard songs to name.

        Raises:
            ConfigError: If no kind of user is given or several.
            DataError: If the user or the song is unknown.
        """
        found = self.find_users(user, (), new, liked)
        return explain_song(self.engine, found, self.engine.catalogue.find(track), nearest=nearest)

    def write_lists(
        self, users: Sequence[str], rules: ListRules, out: Path | str, *, progress: Progress = SILENT
    ) -> None:
        """Write the lists of any number of users to a Parquet file: user_id, place, track_id, score."""
        write_lists(self.engine, users, rules, out, progress)

    def add(self, vectors: Content | Path | str) -> CatalogueUpdate:
        """Add songs to the folder's catalogue, for every reader, without training.

        Args:
            vectors: A folder made by `audiomae export`, or Parquet with track_id and vector.

        Raises:
            DataError: If a song is there with other vectors.
            FingerprintError: If the vectors are of another encoder.
        """
        return self._update(add=vectors)

    def replace(self, vectors: Content | Path | str) -> CatalogueUpdate:
        """Give songs of the folder's catalogue new vectors and tags; their plays stay.

        Args:
            vectors: A folder made by `audiomae export`, or Parquet with track_id and vector.

        Raises:
            DataError: If a song is not there.
            FingerprintError: If the vectors are of another encoder.
        """
        return self._update(replace=vectors)

    def remove(self, tracks: str | Sequence[str]) -> CatalogueUpdate:
        """Take songs out of the folder's catalogue.

        Args:
            tracks: Their ids, paths or ends of those, or titles that no other has.

        Raises:
            DataError: If one is not there, several may be meant, or none would be left.
        """
        return self._update(remove=tracks)

    def find_users(
        self,
        user: str | None = None,
        users: str | Sequence[str] = (),
        new: Mapping[str, Any] | None = None,
        liked: str | Sequence[str] = (),
    ) -> Users:
        """Return users of one kind; see `recommend`."""
        names, likes = read_ids(users), read_ids(liked)
        unnamed = new is not None or bool(likes)
        if sum([user is not None, bool(names), unnamed]) != 1:
            raise ConfigError("name one kind of user: user=, users=, or new= and/or liked=.")
        if unnamed:
            return self.engine.reader.new(new or {}, likes)
        return self.engine.reader.known(names if user is None else [user])

    def _update(self, **change: Any) -> CatalogueUpdate:
        """Change the folder, then read it again: its other readers do so when they open it."""
        done = update_folder(self.folder, **change)
        if done.changed:
            later, ranker = self._opened_with
            self.engine = Engine.open(self.folder, later=later, ranker=ranker)
        return done
