"""What `audiomae duplicates` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table
from audiomae.verbs.duplicates import DuplicatesResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae duplicates vectors/ --out copies.csv"
MAIN = ("threshold", "clips", "seconds", "limit", "out")
"""Settings that `--help` shows first."""


def show(result: DuplicatesResult) -> None:
    """Print the groups of copies as a table, a song a row, and what they were told by."""
    limits = _limits(result)
    if not result.found_pairs:
        print(f"no copies among {result.tracks:,} songs ({limits})")
    else:
        rows = []
        for number, group in enumerate(result.groups, 1):
            for place, song in enumerate(group.songs):
                first = str(number) if place == 0 else ""
                rows.append(
                    (first, song.path or song.track_id, _clock(song.seconds), f"{song.similarity:.3f}")
                )
        copies = sum(len(group.songs) - 1 for group in result.groups)
        print_table(
            f"{copies:,} songs are there again, in {len(result.groups):,} groups",
            ("", "file", "length", "similarity"),
            rows,
            right=(0, 2, 3),
        )
        if result.found_groups > len(result.groups):
            print(f"{result.found_groups:,} groups were found; --limit shows more, --out holds all pairs.")
        print(f"{result.found_pairs:,} pairs among {result.tracks:,} songs ({limits})")
        print("Listen before you delete: a similarity is no proof.")
    if result.out is not None:
        print(f"pairs: {result.out}")


def _limits(result: DuplicatesResult) -> str:
    asked = result.settings
    told = [f"cosine of the songs from {asked.threshold:g}"]
    if asked.clips is not None:
        told.append(f"of their clips in order from {asked.clips:g}")
    told.append("any length" if asked.seconds is None else f"lengths within {asked.seconds:g} s")
    return ", ".join(told)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
