"""What `audiomae prepare-tables` says."""

from __future__ import annotations

from audiomae.verbs.prepare_tables import PrepareTablesResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae prepare-tables movielens ml-100k.zip --out tables/"
MAIN = ("out", "traits", "listeners.listeners", "listeners.mean_plays", "listeners.seed")
"""Settings that `--help` shows first."""


def show(result: PrepareTablesResult) -> None:
    """Print what was written, and what must be known of it."""
    counts = dict(result.counts)
    dim = counts.pop("content_dim", None)
    words = {
        "interactions": "plays",
        "users": "users",
        "tracks": "tracks",
        "content": f"vectors of {dim} numbers",
    }
    parts = ", ".join(f"{count:,} {words.get(name, name)}" for name, count in counts.items())
    made = " (simulated: nobody listened)" if result.simulated else ""
    print(f"{result.tables}: {parts}, from {result.source}{made}.")
    for note in result.notes:
        print(f"- {note}")
