"""What `audiomae consolidate` says."""

from __future__ import annotations

from audiomae.verbs.consolidate import ConsolidateResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae consolidate run/ --corpus corpus/ --out model/"
MAIN = ("corpus", "out", "step")
"""Settings that `--help` shows first."""


def show(result: ConsolidateResult) -> None:
    """Print what was written, from which checkpoint."""
    print(f"{result.model}: model {result.fingerprint} of step {result.steps:,}, from {result.checkpoint}")
