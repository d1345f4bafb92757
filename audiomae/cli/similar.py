"""What `audiomae similar` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table
from audiomae.verbs.similar import SimilarResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae similar vectors/ --track ID --k 5"
MAIN = ("track", "file", "model", "k")
"""Settings that `--help` shows first."""


def show(result: SimilarResult) -> None:
    """Print the songs as a table, nearest first."""
    rows = [
        (str(place), song.title, song.artist, song.track_id, f"{song.cosine:.3f}")
        for place, song in enumerate(result.similar, 1)
    ]
    print_table(
        f"Most similar to {result.name}", ("", "title", "artist", "track_id", "cosine"), rows, right=(0, 4)
    )
