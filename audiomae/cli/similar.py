"""What `audiomae similar` says."""

from __future__ import annotations

from audiomae.cli.song_names import name_songs
from audiomae.cli.terminal import print_table
from audiomae.verbs.similar import SimilarResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae similar vectors/ --track ID --k 5"
MAIN = ("track", "file", "model", "k")
"""Settings that `--help` shows first."""


def show(result: SimilarResult) -> None:
    """Print the songs as a table, nearest first."""
    rows = [
        (str(place), name, song.artist, song.track_id, f"{song.cosine:.3f}")
        for place, (song, name) in enumerate(zip(result.similar, name_songs(result.similar), strict=True), 1)
    ]
    print_table(
        f"Most similar to {result.name}", ("", "title", "artist", "track_id", "cosine"), rows, right=(0, 4)
    )
