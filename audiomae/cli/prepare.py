"""What `audiomae prepare` says."""

from __future__ import annotations

import sys

from audiomae.cli.terminal import print_table
from audiomae.verbs.prepare import PrepareResult

__all__ = ["EXAMPLE", "MAIN", "show", "status"]

EXAMPLE = "audiomae prepare songs/ --out corpus/"
MAIN = ("out", "source", "workers", "shortest_seconds")
"""Settings that `--help` shows first."""


def show(result: PrepareResult) -> int:
    """Print what the corpus holds and what was left out; return the exit status."""
    rejects = f"{result.corpus}/rejects.parquet"
    if not result.kept:
        print(
            f"audiomae prepare: none of {result.songs} songs could be prepared; {rejects} says why. Name other songs.",
            file=sys.stderr,
        )
        return status(result)
    speed = result.decoded_seconds / result.wall_seconds
    print(
        f"{result.corpus}: {result.tracks:,} tracks, {result.hours:.2f} hours, fingerprint {result.fingerprint}"
    )
    parts = [f"{result.added:,} added"]
    parts += [f"{result.known:,} known before"] * bool(result.known)
    parts += [f"{result.duplicates:,} there twice"] * bool(result.duplicates)
    timed = f" at {speed:.0f} times real time" if result.added else ""
    print(f"of {result.songs:,} songs {', '.join(parts)}{timed}")
    if result.rejected:
        rows = [(kind, f"{songs:,}") for kind, songs in result.rejected.items()]
        print_table("", ("left out because", "songs"), rows, right=(1,))
        print(f"{rejects} names each and says why.")
    return status(result)


def status(result: PrepareResult) -> int:
    """Return the exit status: 1 if none of the songs is in the corpus."""
    return 0 if result.kept else 1
