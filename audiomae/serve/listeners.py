"""Lists for users, and why a song is in one. Imported late: it brings torch and LightGBM."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from audiomae.corpus.filters import Where, having
from audiomae.corpus.song import TAGS
from audiomae.recommend.serving.explanations import Explanation, explain_song
from audiomae.recommend.serving.lists import ListRules, make_lists
from audiomae.recommend.serving.places import first_of_each
from audiomae.recommend.serving.recommender import Recommender
from audiomae.recommend.serving.songs import list_songs
from audiomae.recommend.serving.users import Users

__all__ = ["Listeners"]


class Listeners:
    """A recommender, open for requests.

    Args:
        folder: Folder made by `audiomae train-towers`.
        interactions: Table of later plays.
    """

    def __init__(self, folder: str, interactions: str | None) -> None:
        self.recommender = Recommender.open(folder, later=interactions)
        engine = self.recommender.engine
        self.engines = {True: engine, False: dataclasses.replace(engine, ranker=None)}
        self.items = engine.catalogue.items.select(["track_id", *TAGS, "path"])

    @cached_property
    def names(self) -> list[str]:
        """Every user, sorted."""
        return self.recommender.users

    @cached_property
    def popular(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows of the catalogue, most played first."""
        plays = self.recommender.engine.catalogue.plays
        return np.lexsort((np.arange(len(plays)), -plays))

    def about(self) -> dict[str, Any]:
        """Say how many there are, and what is known of users."""
        columns = self.recommender.engine.model.features.columns
        return {
            "users": len(self.names),
            "songs": len(self.recommender),
            "stages": self.recommender.stages,
            "fields": [column.name for column in columns if column.kind != "user_id"],
        }

    def recommend(
        self,
        user: str | None,
        new: Mapping[str, Any] | None,
        liked: Sequence[str],
        given: tuple[int, int | None, int, Where, bool],
        *,
        ranker: bool,
    ) -> dict[str, Any]:
        """Return a list for one user, and beside it what is played most.

        Args:
            user: Id of a user.
            new: What is known of a user without an id.
            liked: Songs that a user without an id likes.
            given: Fields of `ListRules`, in their order.
            ranker: Whether to use the second stage.

        Raises:
            ConfigError: If no kind of user is named, or several.
            DataError: If a user, song, field or tag is unknown.
        """
        rules = ListRules(*given)
        engine = self.engines[ranker]
        users = self.recommender.find_users(user, (), new, liked)
        (made,) = list_songs(engine, users, make_lists(engine, users, rules))
        return {
            "user": made.user,
            "stages": 1 if engine.ranker is None else 2,
            "songs": made.songs,
            "popular": self._most_played(users, rules),
            "mel": None,
        }

    def explain(
        self,
        user: str | None,
        new: Mapping[str, Any] | None,
        liked: Sequence[str],
        track: str,
        *,
        ranker: bool,
    ) -> Explanation:
        """Say what a song's score is made of for one user."""
        engine = self.engines[ranker]
        users = self.recommender.find_users(user, (), new, liked)
        return explain_song(engine, users, engine.catalogue.find(track))

    def _most_played(self, users: Users, rules: ListRules) -> list[dict[str, Any]]:
        """Return the songs that are played most, under the same rules."""
        catalogue, credits = self.recommender.engine.catalogue, self.recommender.engine.credits
        fits = having(catalogue.items, rules.where) if rules.where else np.ones(len(catalogue), bool)
        if not rules.heard:
            fits[users.heard[0]] = False
        rows = self.popular[fits[self.popular]][: 50 * rules.k + 1000]
        if rules.per_artist is not None:
            rows = rows[first_of_each(credits, rows, rules.per_artist)]
        chosen = rows[: rules.k].tolist()
        plays = catalogue.plays
        return [
            {name: self.items[name][row].as_py() for name in self.items.column_names}
            | {"plays": int(plays[row])}
            for row in chosen
        ]
