"""Everything that is wrong with a set of tables, each by itself and with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audiomae.corpus.song import TAGS
from audiomae.errors import DataError
from audiomae.listening.check.columns import NULL_WORDS, id_texts
from audiomae.listening.check.files import TableFile
from audiomae.listening.check.findings import SHOWN, Findings
from audiomae.listening.check.scan import LARGEST_WEIGHT, InteractionScan, scan_interactions
from audiomae.listening.content import Content

__all__ = ["audit_tables"]

LIKELY = {"age": (0, 120), "account_age_days": (0, 36_525)}
"""Fields of users whose values lie in a known range."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        findings: Problems.
        counts: Rows, users, tracks and first and last time, as far as there are any.
    """

    findings: Findings
    counts: dict[str, Any] = field(default_factory=dict)


def audit_tables(
    interactions: Path | str,
    users: Path | str | None = None,
    tracks: Path | str | None = None,
    content: Path | str | None = None,
    *,
    now: float | None = None,
) -> Audit:
    """Look at tables that belong together and note every problem; nothing is raised.

    Args:
        interactions: CSV or Parquet of plays.
        users: CSV or Parquet of users, if there is one.
        tracks: CSV or Parquet of tracks, if there is one.
        content: Vectors folder or Parquet with a vector a track, if there is one.
        now: Seconds since 1970 after which a time is in the future; the clock's by default.
    """
    audit = Audit(Findings(strict=False))
    scan = None
    try:
        table = TableFile(interactions)
        scan = scan_interactions(table, audit.findings, now=now, with_places=True)
        _check_plays(table, scan, audit)
    except DataError as error:
        audit.findings.add_line(str(error))
    for path, key, what in ((users, "user_id", "users"), (tracks, "track_id", "tracks")):
        if path is None:
            continue
        try:
            ids = _check_keyed(TableFile(path), key, audit.findings)
        except DataError as error:
            audit.findings.add_line(str(error))
            continue
        audit.counts[what] = len(ids)
        if scan is not None and scan.rows:
            known = set((scan.users if what == "users" else scan.tracks).ids)
            way_out = {"users": "Their fields count as unknown.", "tracks": "Their tags count as unknown."}[
                what
            ]
            _one_sided(audit.findings, interactions, key, sorted(known - ids), f"not in {path}", way_out)
            _one_sided(audit.findings, path, key, sorted(ids - known), "without a play", "Fine, if meant so.")
    if content is not None:
        _check_content(content, interactions, scan, audit)
    return audit


def _check_plays(table: TableFile, scan: InteractionScan, audit: Audit) -> None:
    findings, counts = audit.findings, audit.counts
    counts["interactions"] = scan.rows
    if not {"user_id", "track_id"} <= set(table.columns):
        return
    counts |= {"users_with_plays": len(scan.users.ids), "tracks_with_plays": len(scan.tracks.ids)}
    if scan.events:
        counts["events"] = dict(sorted(scan.events.items()))
    if not scan.rows:
        findings.add_line(f"{table.path}: 0 rows; at least one is needed. Name a table with plays in it.")
        return
    if scan.weightless:
        what, way_out = "rows have weight 0 and are left out", "Fine, if nothing was played there."
        findings.add(table.path, "weight", what, way_out, [("", str(scan.weightless))], error=False)
    for name, ids in (("user_id", scan.users.ids), ("track_id", scan.tracks.ids)):
        if len(ids) == 1:
            what, way_out = "is the only one; nothing can be compared", "Name a table with more."
            findings.add(table.path, name, what, way_out, [("", repr(ids[0]))], error=False)
        if words := sorted(set(ids) & set(NULL_WORDS)):
            examples = [("", repr(one)) for one in words[:SHOWN]]
            what, way_out = (
                "is taken for an id like any other",
                "If it stands for nothing, leave the cell empty.",
            )
            findings.add(table.path, name, what, way_out, examples, count=len(words), error=False)
        padded = [one for one in ids if one != one.strip()]
        if padded:
            examples = [("", repr(one)) for one in padded[:SHOWN]]
            what, way_out = "has blanks around it and is another id than without", "Strip the column."
            findings.add(table.path, name, what, way_out, examples, count=len(padded), error=False)
    if scan.times is None:
        what, way_out = "there is no time", "Split per user (kind per_user), or add the column."
        findings.add(table.path, "timestamp", what, way_out, [("", "")], error=False)
    elif len(scan.times):
        first, last = int(scan.times.min()), int(scan.times.max())
        counts["first_time"], counts["last_time"] = (
            datetime.fromtimestamp(moment, UTC).isoformat() if 0 <= moment < 2**37 else str(moment)
            for moment in (first, last)
        )
        if first == last and len(scan.times) > 1:
            what, way_out = "is the time of every row", "Split per user (kind per_user)."
            findings.add(table.path, "timestamp", what, way_out, [("", str(first))], error=False)
    _check_duplicates(table, scan, findings)


def _check_duplicates(table: TableFile, scan: InteractionScan, findings: Findings) -> None:
    keys = [scan.track_codes, scan.user_codes] + ([scan.times] if scan.times is not None else [])
    order = np.lexsort(keys)
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    later = np.sort(order[1:][same])  # lexsort is stable: the first row of a kind stays
    if len(later):
        examples = [
            (
                table.place(int(scan.places[row])),
                repr((scan.users.ids[scan.user_codes[row]], scan.tracks.ids[scan.track_codes[row]])),
            )
            for row in later[:SHOWN]
        ]
        columns = "user_id+track_id" + ("+timestamp" if scan.times is not None else "")
        what, way_out = (
            ("is there twice; one row is kept", "Fine, if it is one event; else sum up the weights.")
            if scan.times is not None
            else ("is there twice; the weights are summed", "Fine, if each row is a play.")
        )
        findings.add(table.path, columns, what, way_out, examples, count=len(later), error=False)


def _check_keyed(table: TableFile, key: str, findings: Findings) -> set[str]:
    """Check a table of users or tracks and return its ids."""
    if key not in table.columns:
        way_out = f"The table has {', '.join(table.columns)}; rename the right one."
        findings.add(table.path, key, "is missing", way_out)
        return set()
    whole = table.read((key, *TAGS))
    try:
        ids = id_texts(whole[key])
    except DataError as error:
        raise DataError(f"{table.path}: column {key}: {error} Convert the column.") from None
    if not ids:
        findings.add_line(f"{table.path}: 0 rows; at least one is needed. Leave the table out, or fill it.")
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            way_out = "Fill it in, or drop the row."
            findings.add(table.path, key, "is empty", way_out, [(table.place(row), repr(name))])
        elif first.setdefault(name, row) != row:
            what, way_out = "stands in an earlier row too", "One row an id: drop one of them."
            findings.add(table.path, key, what, way_out, [(table.place(row), repr(name))])
    for name in whole.column_names:
        if name != key:
            _check_field(table, name, whole[name], findings)
    return set(first)


def _check_field(table: TableFile, name: str, column: pa.ChunkedArray, findings: Findings) -> None:
    def note(bad: pa.ChunkedArray, what: str, way_out: str) -> None:
        mask = pc.fill_null(bad, False).to_numpy()
        findings.rows(table, 0, name, mask, lambda row: column[row].as_py(), what, way_out, error=False)

    if len(column) and column.null_count == len(column):
        findings.add(table.path, name, "is empty in every row", "Drop the column.", [("", "it")], error=False)
    elif pa.types.is_floating(column.type):
        note(pc.invert(pc.is_finite(column)), "is not finite", "It counts as unknown; leave the cell empty.")
        far = pc.and_(pc.is_finite(column), pc.greater(pc.abs(column), LARGEST_WEIGHT))
        note(far, "is beyond 3.4e38", "It counts as unknown; correct it, or leave the cell empty.")
    if name in LIKELY:
        low, high = LIKELY[name]
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            if column.null_count < len(column):
                value = next(repr(cell) for cell in column.to_pylist() if cell is not None)
                what, way_out = f"is of type {column.type}, not a number", "Give numbers, or an empty cell."
                findings.add(table.path, name, what, way_out, [("", value)])
            return
        outside = pc.or_kleene(pc.less(column, low), pc.greater(column, high))
        note(outside, f"is outside {low} to {high}", "Correct it, or leave the cell empty.")


def _check_content(
    path: Path | str, interactions: Path | str, scan: InteractionScan | None, audit: Audit
) -> None:
    try:
        content = Content.open(path)
    except DataError as error:
        audit.findings.add_line(str(error))
        return
    audit.counts.update({"content": len(content), "content_dim": content.dim})
    zero = np.flatnonzero(np.abs(content.vectors).max(axis=1) == 0)
    still = [content.track_ids[row] for row in zero]
    _one_sided(audit.findings, path, "vector", still, "all zeros", "Make the vector again, or drop the row.")
    if scan is not None and scan.rows:
        known, there = set(scan.tracks.ids), set(content.track_ids)
        lost = sorted(known - there)
        way_out = "Their plays are dropped; export vectors for them."
        all_lost = bool(known) and len(lost) == len(known)
        _one_sided(
            audit.findings, interactions, "track_id", lost, f"without a vector in {path}", way_out, all_lost
        )
        _one_sided(
            audit.findings, path, "track_id", sorted(there - known), "without a play", "They are new tracks."
        )


def _one_sided(
    findings: Findings,
    file: Path | str,
    column: str,
    ids: Sequence[str],
    what: str,
    way_out: str,
    error: bool = False,
) -> None:
    if ids:
        examples = [("", repr(name)) for name in ids[:SHOWN]]
        findings.add(file, column, f"is {what}", way_out, examples, count=len(ids), error=error)
