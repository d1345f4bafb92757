"""tables → what is wrong with them: file, row, column, value and the way out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from audiomae.listening.check.audit import audit_tables

__all__ = ["CheckTablesSettings", "check_tables"]


@dataclass(frozen=True)
class CheckTablesSettings:
    """Settings of `audiomae check-tables`.

    Attributes:
        interactions: CSV or Parquet with user_id, track_id, timestamp; optional event, weight, played_ratio.
        users: CSV or Parquet with user_id and fields; none without.
        tracks: CSV or Parquet with track_id, title, artist, album, genre; none without.
        content: Vectors folder, or Parquet with track_id and vector; none without.
        json: Whether to print one JSON object instead of lines.
    """

    interactions: str
    users: str | None = None
    tracks: str | None = None
    content: str | None = None
    json: bool = False


def check_tables(config: CheckTablesSettings) -> int:
    """Print every problem; return 1 if one of them is an error."""
    audit = audit_tables(config.interactions, config.users, config.tracks, config.content)
    errors, warnings = audit.findings.errors, len(audit.findings.all) - audit.findings.errors
    if config.json:
        findings = [asdict(finding) | {"line": finding.line()} for finding in audit.findings.all]
        print(
            json.dumps({"errors": errors, "warnings": warnings, "counts": audit.counts, "findings": findings})
        )
        return int(errors > 0)
    for finding in sorted(audit.findings.all, key=lambda finding: not finding.error):
        print("error:  " if finding.error else "warning:", finding.line())
    print(", ".join(f"{name} {value}" for name, value in audit.counts.items()) or "nothing could be counted")
    print(f"{errors} kinds of error, {warnings} kinds of warning")
    return int(errors > 0)
