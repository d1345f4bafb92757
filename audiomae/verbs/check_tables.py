"""tables → what is wrong with them: file, row, column, value and the way out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from audiomae.listening.check.audit import audit_tables
from audiomae.progress import SILENT, Progress

__all__ = ["CheckTablesResult", "CheckTablesSettings", "TableProblem", "check_tables"]


@dataclass(frozen=True)
class CheckTablesSettings:
    """Settings of `audiomae check-tables`.

    Attributes:
        interactions: CSV or Parquet with user_id, track_id, timestamp; optional event, weight, played_ratio.
        users: CSV or Parquet with user_id and fields; none without.
        tracks: CSV or Parquet with track_id, title, artist, album, genre; none without.
        content: Vectors folder, or Parquet with track_id and vector; none without.
    """

    interactions: str
    users: str | None = None
    tracks: str | None = None
    content: str | None = None


@dataclass(frozen=True)
class TableProblem:
    """One kind of problem in one column of one file.

    Attributes:
        file: The table.
        column: Its column, or several joined by +; empty where the whole file is meant.
        error: Whether the tables cannot be used so; False for what merely deserves a look.
        what: What is wrong with the value.
        way_out: What to do.
        count: Rows, or ids, that have it.
        examples: Place and value of the first few.
        line: All of it as one line.
    """

    file: str
    column: str
    error: bool
    what: str
    way_out: str
    count: int
    examples: list[tuple[str, str]]
    line: str


@dataclass(frozen=True)
class CheckTablesResult:
    """What is wrong with the tables.

    Attributes:
        errors: Kinds of error; with none, the tables can be used.
        warnings: Kinds of warning.
        counts: Rows, users, tracks, events, first and last time (ISO 8601), as far as they could be counted.
        findings: The problems, in the order in which they were found.
    """

    errors: int
    warnings: int
    counts: dict[str, int | str | dict[str, int]]
    findings: list[TableProblem]


def check_tables(settings: CheckTablesSettings, *, progress: Progress = SILENT) -> CheckTablesResult:  # noqa: ARG001
    """Look at tables that belong together and return every problem; bad tables raise nothing."""
    audit = audit_tables(settings.interactions, settings.users, settings.tracks, settings.content)
    findings = [TableProblem(**asdict(one), line=one.line()) for one in audit.findings.all]
    errors = audit.findings.errors
    return CheckTablesResult(errors, len(findings) - errors, audit.counts, findings)
