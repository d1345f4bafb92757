"""What `audiomae explain` says."""

from __future__ import annotations

from dataclasses import asdict

from audiomae.cli.song_names import name_songs
from audiomae.cli.terminal import print_table
from audiomae.recommend.serving.explanations import Explanation

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae explain recommender/ --track ID --user ID"
MAIN = ("track", "user", "new", "liked", "nearest")
"""Settings that `--help` shows first."""


def show(result: Explanation) -> None:
    """Print where the song stands, what its score is made of, and the nearest of the songs heard."""
    track = result.track
    (name,) = name_songs([track])
    name = name or track.track_id
    name += f" — {track.artist}" if track.artist else ""
    where = f"place {result.place}" if result.place else "not among the first candidates"
    if result.heard:
        where += ", heard before, so in no list"
    user = "the new user" if result.user == "new" else f"user {result.user}"
    print(f"{name} for {user}: {where} of {result.items:,} songs.")
    shares = asdict(result.shares)
    rows = [
        (part, f"{value:+.3f}", f"{shares[part]:.0%}")
        for part, value in asdict(result.parts).items()
        if part != "ranker" or result.ranker is not None
    ]
    print_table(
        "What its score is made of, against the catalogue's mean", ("", "adds", "share"), rows, right=(1, 2)
    )
    near = result.nearest_heard
    if not near:
        print("This user has heard nothing that is in the catalogue.")
        return
    heard = [
        (called, song.artist, song.track_id, f"{song.cosine:.3f}")
        for song, called in zip(near, name_songs(near), strict=True)
    ]
    columns = ("title", "artist", "track_id", "cosine")
    print_table("Nearest among the songs heard", columns, heard, right=(3,))
