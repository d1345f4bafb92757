"""What `audiomae recommend` says."""

from __future__ import annotations

from audiomae.cli.song_names import name_songs
from audiomae.cli.terminal import print_table
from audiomae.verbs.recommend import RecommendResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae recommend recommender/ --user ID --k 10 --per_artist 2"
MAIN = ("user", "users", "all", "new", "liked", "k", "per_artist", "where", "out")
"""Settings that `--help` shows first."""
SHOWN = 20
"""Users whose lists are printed as tables."""


def show(result: RecommendResult) -> None:
    """Print each user's list as a table, best song first, and where lists were written."""
    for one in result.lists[:SHOWN]:
        title = "For the new user" if one.user == "new" else f"For user {one.user}"
        if not one.songs:
            print(f"{title}: no song is left.")
            continue
        rows = [
            (str(place), name, song.artist, song.genre, song.track_id, f"{song.score:.3f}")
            for place, (song, name) in enumerate(zip(one.songs, name_songs(one.songs), strict=True), 1)
        ]
        print_table(title, ("", "title", "artist", "genre", "track_id", "score"), rows, right=(0, 5))
    if len(result.lists) > SHOWN:
        more = len(result.lists) - SHOWN
        print(f"{more} more users have a list: add --json, or --out lists.parquet, to get all.")
    if result.out is not None:
        lists = f"{result.users:,} list{'s' * (result.users != 1)} of up to {result.k} songs"
        print(f"{result.out}: {lists}.")
