"""Last.fm 1K: 19 million plays with their time, by 992 listeners of known gender, age and country.

The plays are read as a stream. A track is named by its MusicBrainz id, or where there is none by
"artist name/track name". Age of the account is counted from signing up to 2009-05-05, the day to which
the plays were collected; plays after it come from wrong clocks and are dropped.

Source: Celma 2010, http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html (non-commercial use)
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from audiomae.errors import DataError
from audiomae.listening.check.columns import parse_times
from data_prep.plays.write import SourceTables
from data_prep.songs.archive import open_file

__all__ = ["tables"]

PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
PROFILE = "userid-profile.tsv"
COLUMNS = ("user_id", "time", "artist_id", "artist", "track_id", "title")
COLLECTED = datetime(2009, 5, 6, tzinfo=UTC)
"""Midnight after the last day of the collection."""


def tables(root: Path | str, *, block_bytes: int = 1 << 25) -> SourceTables:
    """Read the data set.

    Args:
        root: lastfm-dataset-1K.tar.gz, or a folder that holds its two .tsv files.
        block_bytes: Bytes of the plays that are read at a time.

    Raises:
        MissingError: If a file is not there.
        DataError: If one is of another layout.
    """
    known: dict[str, tuple[str, str]] = {}

    def tracks() -> pa.Table:
        ids = sorted(known)
        blank = [""] * len(ids)
        return pa.table(
            {
                "track_id": pa.array(ids, pa.string()),
                "title": pa.array([known[name][0] for name in ids], pa.string()),
                "artist": pa.array([known[name][1] for name in ids], pa.string()),
                "album": pa.array(blank, pa.string()),
                "genre": pa.array(blank, pa.string()),
            }
        )

    return SourceTables(
        "lastfm-1k",
        _plays(root, known, block_bytes),
        tracks=tracks,
        users=lambda: _users(root),
        notes=(
            "Every row is one play, with its second; plays after 2009-05-05 are dropped.",
            "A track without a MusicBrainz id is named artist/title.",
            "account_age_days counts from signing up to 2009-05-05.",
            "Non-commercial use.",
        ),
    )


def _plays(root: Path | str, known: dict[str, tuple[str, str]], block_bytes: int) -> Iterator[pa.Table]:
    with open_file(root, PLAYS) as file:
        try:
            reader = pacsv.open_csv(
                pa.PythonFile(file, mode="r"),
                read_options=pacsv.ReadOptions(column_names=COLUMNS, block_size=block_bytes),
                parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False
                ),
            )
            for batch in reader:
                yield _read_batch(pa.Table.from_batches([batch]), known)
        except (pa.ArrowException, OSError, EOFError, tarfile.TarError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{root}: {PLAYS} is damaged or of another layout ({reason}). Fetch it again."
            ) from error


def _read_batch(table: pa.Table, known: dict[str, tuple[str, str]]) -> pa.Table:
    named = pc.binary_join_element_wise(table["artist"], table["title"], "/")
    ids = pc.if_else(pc.equal(table["track_id"], ""), named, table["track_id"])
    seconds, empty, bad = parse_times(table["time"].combine_chunks())
    kept = pa.array(~(empty | bad) & (seconds < COLLECTED.timestamp()))
    whole = pa.table(
        {"user_id": table["user_id"], "track_id": ids, "timestamp": seconds, "title": table["title"]}
        | {"artist": table["artist"]}
    ).filter(kept)
    first = whole.group_by("track_id", use_threads=False).aggregate([("title", "first"), ("artist", "first")])
    for name, title, artist in zip(*(column.to_pylist() for column in first.columns), strict=True):
        known.setdefault(name, (title, artist))
    return whole.select(["user_id", "track_id", "timestamp"])


def _users(root: Path | str) -> pa.Table:
    """Listeners: an empty cell is unknown; the table begins with `#id`."""
    with open_file(root, PROFILE) as file:
        text = io.StringIO(file.read().decode("utf-8", "replace"), newline="")
        rows = list(csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or len(rows[0]) != 5 or any(len(row) != 5 for row in rows):
        raise DataError(f"{root}: {PROFILE} has not the columns id, gender, age, country, registered.")
    rows = [row for row in rows if not row[0].startswith("#")]
    return pa.table(
        {
            "user_id": pa.array([row[0] for row in rows], pa.string()),
            "age": pa.array([int(row[2]) if row[2].isdecimal() else None for row in rows], pa.int32()),
            "account_age_days": pa.array([_account_days(row[4]) for row in rows], pa.int32()),
            "country": pa.array([row[3] or None for row in rows], pa.string()),
            "gender": pa.array([row[1] or None for row in rows], pa.string()),
        }
    )


def _account_days(text: str) -> int | None:
    """Days from a date such as `Aug 13, 2006` to the end of the collection; None where there is none."""
    try:
        since = datetime.strptime(text.strip(), "%b %d, %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0, (COLLECTED - since).days)
