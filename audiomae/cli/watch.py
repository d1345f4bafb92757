"""What `audiomae watch` says once it has stopped, or is up to date."""

from __future__ import annotations

from audiomae.verbs.watch import WatchResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae watch ~/Music --out vectors/"
MAIN = ("out", "model", "once", "rescan_seconds")
"""Settings that `--help` shows first."""


def show(result: WatchResult) -> None:
    """Print what was done, and what the folder holds."""
    done = [
        f"{count:,} {name}"
        for name, count in (
            ("added", result.added),
            ("changed", result.changed),
            ("moved", result.moved),
            ("removed", result.removed),
            ("left out", result.left_out),
        )
        if count
    ]
    print(
        f"{result.vectors}: {result.tracks:,} songs, generation {result.generation} "
        f"({', '.join(done) or 'nothing changed'} in {result.seconds:,.0f} s)"
    )
