"""Labels of clips, from a CSV file: what a probe is asked."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError, MissingError

__all__ = ["ProbeTask", "read_tasks"]

Strings = NDArray[np.str_]


@dataclass(frozen=True)
class ProbeTask:
    """One question about some clips.

    Attributes:
        name: The task column's word.
        kind: `retrieval` (find another clip of the same track) or `classes` (name the label).
        paths: Audio files, (clips,).
        labels: Right answers, (clips,); the track for retrieval.
        groups: What must stay on one side of a split and is drawn as one in a bootstrap, (clips,).
        folds: Fold of each clip, (clips,); -1 everywhere where the file gives none.
    """

    name: str
    kind: Literal["retrieval", "classes"]
    paths: tuple[Path, ...] = field(repr=False)
    labels: Strings = field(repr=False)
    groups: Strings = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)


def read_tasks(
    path: Path | str, tasks: Sequence[str] = (), where: Mapping[str, Sequence[str]] | None = None
) -> list[ProbeTask]:
    """Read a labels file.

    Args:
        path: CSV with the columns `path` (relative to the file), `task` and `label`; and, if there, `fold`,
            `track` (the file itself without it) and `group` (the track without it). A task with `track` in
            its name is retrieval and takes its answers from the track column.
        tasks: Tasks to read, all without it.
        where: Values that a column may have; rows with others are left out.

    Returns:
        One task for each word of the task column, in the order of the file.

    Raises:
        MissingError: If the file or an audio file it names is not there.
        DataError: If a column is missing, nothing is left, or a group lies in two folds.
    """
    path = Path(path)
    rows = _read_rows(path, {"path", "task", "label", *(where or {})})
    found = list(dict.fromkeys(row["task"] for row in rows))
    if unknown := [name for name in tasks if name not in found]:
        raise DataError(f"{path}: no task {unknown[0]!r}; there are {', '.join(found)}.")
    for column, allowed in (where or {}).items():
        rows = [row for row in rows if row[column] in allowed]
    if not rows:
        raise DataError(f"{path}: no row is left; check the file and --where.")
    names = [name for name in found if not tasks or name in tasks]
    kept = {name: [row for row in rows if row["task"] == name] for name in names}
    return [_make_task(path, name, rows) for name, rows in kept.items() if rows]


def _read_rows(path: Path, needed: set[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            rows = [{key: value or "" for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror}). Name a labels CSV.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a UTF-8 CSV file ({error}).") from error
    if lacking := sorted(needed - columns):
        raise DataError(
            f"{path}: has no column {lacking[0]!r}; its columns are {', '.join(sorted(columns)) or 'none'}."
        )
    return rows


def _make_task(file: Path, name: str, rows: list[dict[str, str]]) -> ProbeTask:
    paths = tuple(file.parent / row["path"] for row in rows)
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise MissingError(
            f"{file}: task {name} names {len(absent)} audio files that are not there, the first {absent[0]}."
        )
    tracks = np.array([row.get("track") or row["path"] for row in rows])
    groups = np.array([row.get("group") or track for row, track in zip(rows, tracks, strict=True)])
    if "track" in name:
        return ProbeTask(name, "retrieval", paths, tracks, groups, np.full(len(rows), -1))
    labels = np.array([row["label"] for row in rows])
    try:
        folds = np.array([int(row.get("fold") or -1) for row in rows])
    except ValueError:
        raise DataError(f"{file}: task {name} has a fold that is not a whole number.") from None
    if (folds < 0).any():
        folds[:] = -1
    for what, column in (("group", groups), ("track", tracks)):
        pairs = set(zip(column.tolist(), folds.tolist(), strict=True))
        if len(pairs) > len(set(column.tolist())):
            twice = [one for one in set(column.tolist()) if sum(one == pair[0] for pair in pairs) > 1]
            raise DataError(
                f"{file}: task {name}: {what} {min(twice)!r} lies in two folds, so a probe would be asked "
                "about what it was shown. Give all its clips one fold."
            )
    if len(set(labels.tolist())) < 2:
        raise DataError(
            f"{file}: task {name} has the one label {str(labels[0])!r}; a probe needs two or more."
        )
    return ProbeTask(name, "classes", paths, labels, groups, folds)
