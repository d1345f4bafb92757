"""recommender → why a song is recommended to a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audiomae.checks import require
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from audiomae.recommend.ids import read_ids
from audiomae.recommend.serving.explanations import Explanation
from audiomae.recommend.serving.recommender import Recommender

__all__ = ["ExplainSettings", "explain"]


@dataclass(frozen=True)
class ExplainSettings:
    """Settings of `audiomae explain`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        track: The song: its id, its path or the end of that (one.wav), or its title where no other has it.
        user: Id of the user. Give this, or new and liked.
        new: A user without an id, by what is known of them: '{"age": 30}'.
        liked: Songs that a user without an id likes: ids, ends of paths or titles, a,b,c or a JSON list.
        nearest: Heard songs to show.
        interactions: CSV or Parquet with plays that came after the training, known too.
        ranker: Whether to use the second stage, where train-ranker has left one.
    """

    recommender: str
    track: str
    user: str | None = None
    new: dict[str, Any] | None = None
    liked: str | tuple[str, ...] = ()
    nearest: int = 5
    interactions: str | None = None
    ranker: bool = True

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        if (self.user is None) == (self.new is None and not read_ids(self.liked)):
            raise ConfigError(
                "explain is about one user: give --user ID, or --new '{\"age\": 30}' and/or --liked TRACK,TRACK."
            )
        require("nearest", self.nearest, least=1)


def explain(settings: ExplainSettings, *, progress: Progress = SILENT) -> Explanation:  # noqa: ARG001
    """Say what the song's score is made of, and which songs that the user has heard are nearest to it.

    Raises:
        DataError: If the user or the track is unknown.
        MissingError: If a part of the recommender is not there, or damaged.
    """
    opened = Recommender.open(settings.recommender, later=settings.interactions, ranker=settings.ranker)
    return opened.explain(
        settings.track, settings.user, new=settings.new, liked=settings.liked, nearest=settings.nearest
    )
