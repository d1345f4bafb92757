"""recommender → why a song is recommended to a user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from audiomae.cli.recommend import open_recommender, read_listeners
from audiomae.errors import ConfigError
from audiomae.recommend.serving.explanations import explain_score, nearest_heard, place_of

__all__ = ["ExplainSettings", "explain"]


@dataclass(frozen=True)
class ExplainSettings:
    """Settings of `audiomae explain`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        track: Id of the song.
        user: Id of the user. Give this, or new and liked.
        new: A user without an id, by what is known of him: '{"age": 30}'.
        liked: Track ids of songs that a user without an id likes: a,b,c or a JSON list.
        nearest: Heard songs to show.
        interactions: CSV or Parquet with plays that came after the training, known too.
        ranker: Whether to use the second stage, where train-ranker has left one.
        json: Whether to print JSON instead of tables.
    """

    recommender: str
    track: str
    user: str | None = None
    new: dict[str, Any] | None = None
    liked: str | tuple[str, ...] = ()
    nearest: int = 5
    interactions: str | None = None
    ranker: bool = True
    json: bool = False

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        if (self.user is None) == (self.new is None and not self.liked):
            raise ConfigError(
                "explain is about one user: give --user ID, or --new '{\"age\": 30}' and/or --liked TRACK,TRACK."
            )
        if self.nearest < 1:
            raise ConfigError(f"nearest is {self.nearest}; it must be at least 1.")


def explain(config: ExplainSettings) -> int:
    """Print the heard songs nearest to the track and what its score is made of.

    Raises:
        DataError: If the user or the track is unknown.
    """
    recommender = open_recommender(config.recommender, config.interactions, config.ranker)
    listeners = read_listeners(recommender, config.user, (), config.new, config.liked)
    row = recommender.reader.row_of(config.track)
    catalogue = recommender.catalogue

    def tags(at: int) -> dict[str, Any]:
        return {name: catalogue.items[name][at].as_py() for name in ("track_id", "title", "artist")}

    near = nearest_heard(recommender, listeners, row, config.nearest)
    about = explain_score(recommender, listeners, row)
    about["heard"] = bool((listeners.heard[0] == row).any())
    others = [listeners.heard[0][listeners.heard[0] != row]]
    found = recommender.retrieve_candidates(listeners._replace(heard=others), 200)
    about["place_of_retrieval"] = place_of(found, row)
    about["place"] = place_of(recommender.rank(listeners, found), row)
    result = {
        "user": listeners.names[0],
        "track": tags(row),
        **about,
        "nearest_heard": [{**tags(at), "cosine": round(cosine, 6)} for at, cosine in near],
    }
    if config.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        _print(result, len(catalogue))
    return 0


def _print(result: dict[str, Any], items: int) -> None:
    console = Console(markup=False, highlight=False, width=max(110, Console().width))
    track = result["track"]
    name = f"{track['title'] or track['track_id']}" + (f" — {track['artist']}" if track["artist"] else "")
    place = result["place"]
    where = f"place {place}" if place else "not among the first candidates"
    if result["heard"]:
        where += ", heard before, so not listed"
    console.print(f"{name} for user {result['user']}: {where} of {items} songs.")
    shares = Table(title="What its score is made of, against the catalogue's mean", title_justify="left")
    for column in ("", "adds", "share"):
        shares.add_column(column, justify="left" if not column else "right")
    for part, value in result["parts"].items():
        if part != "ranker" or "ranker" in result:
            shares.add_row(part, f"{value:+.3f}", f"{result['shares'][part]:.0%}")
    console.print(shares)
    if not result["nearest_heard"]:
        console.print("This user has heard nothing that is in the catalogue.")
        return
    near = Table(title="Nearest among the songs heard", title_justify="left")
    for column in ("title", "artist", "track_id"):
        near.add_column(column, overflow="fold")
    near.add_column("cosine", justify="right")
    for song in result["nearest_heard"]:
        near.add_row(song["title"], song["artist"], song["track_id"], f"{song['cosine']:.3f}")
    console.print(near)
