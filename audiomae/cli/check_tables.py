"""What `audiomae check-tables` says."""

from __future__ import annotations

from audiomae.verbs.check_tables import CheckTablesResult

__all__ = ["EXAMPLE", "MAIN", "show", "status"]

EXAMPLE = "audiomae check-tables plays.csv --users users.csv --tracks tracks.csv"
MAIN = ("users", "tracks", "content")
"""Settings that `--help` shows first."""


def show(result: CheckTablesResult) -> int:
    """Print every problem as a line, errors first; return 1 if there is an error."""
    for finding in sorted(result.findings, key=lambda finding: not finding.error):
        print("error:  " if finding.error else "warning:", finding.line)
    print(", ".join(f"{name} {value}" for name, value in result.counts.items()) or "nothing could be counted")
    print(f"{result.errors} kinds of error, {result.warnings} kinds of warning")
    return status(result)


def status(result: CheckTablesResult) -> int:
    """Return the exit status: 1 if there is an error."""
    return int(result.errors > 0)
