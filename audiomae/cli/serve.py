"""What `audiomae serve` says once it has stopped."""

from __future__ import annotations

from audiomae.verbs.serve import ServeResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae serve vectors/ --recommender recommender/ --model tiny"
MAIN = ("recommender", "model", "songs", "runs", "host", "port", "token", "watch")
"""Settings that `--help` shows first."""


def show(result: ServeResult) -> None:
    """Print where it listened, and how long."""
    print(f"stopped after {result.seconds:.1f} s at {result.url}")
