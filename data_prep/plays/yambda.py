"""Yambda, flat layout: plays and likes of Yandex Music's listeners, with audio embeddings of the tracks.

The folder holds multi_event.parquet, or listens.parquet and perhaps likes.parquet (uid, timestamp,
item_id, is_organic; of a play also played_ratio_pct and track_length_seconds), and, there or above it,
embeddings.parquet (item_id, embed, normalized_embed) and artist_item_mapping.parquet (artist_id, item_id).

Times are seconds from the start of the collection, rounded by the publisher to 5 s; they are passed on
as they are, so that they read as days of the year 1970 and only their differences mean anything. A
played ratio above 100 % (the listener wound back) is cut to 1. Nothing is known of the listeners.

Source: Ploshkin et al. 2025 (arXiv:2505.22238), https://huggingface.co/datasets/yandex/yambda
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audiomae.errors import DataError, MissingError
from data_prep.plays.write import ContentTable, SourceTables

__all__ = ["tables"]

EVENTS = {"listens.parquet": "listen", "likes.parquet": "like"}
KEPT = ("listen", "like")
BATCH_ROWS = 1 << 20


def tables(root: Path | str) -> SourceTables:
    """Read the data set.

    Args:
        root: Folder of one size, such as flat/50m.

    Raises:
        MissingError: If a file is not there.
        DataError: If one is of another layout.
    """
    root = Path(root)
    files = [root / name for name in ("multi_event.parquet", *EVENTS) if (root / name).is_file()]
    if not files or files[0].name == "likes.parquet":
        raise MissingError(
            f"{root}: no multi_event.parquet or listens.parquet. Name a folder such as flat/50m."
        )
    if files[0].name == "multi_event.parquet":
        files = files[:1]
    seen: list[int] = []
    embeddings = _above(root, "embeddings.parquet")
    return SourceTables(
        "yambda",
        _events(files, seen),
        tracks=lambda: _tracks(root, np.unique(np.array(seen, dtype=np.int64))),
        content=(lambda: _content(embeddings)) if embeddings else None,
        notes=(
            "timestamp counts seconds from the start of the collection, rounded to 5 s.",
            "Events are listen (with played_ratio, cut to 1) and like; dislikes and withdrawals are left out.",
            "Content is the publisher's audio embedding; its catalogue holds tracks that nobody here played.",
        ),
    )


def _events(files: list[Path], seen: list[int]) -> Iterator[pa.Table]:
    found: set[int] = set()
    for path in files:
        names = ["uid", "timestamp", "item_id", "played_ratio_pct"]
        with _open(path, {"uid", "timestamp", "item_id"}) as file:
            there = [name for name in (*names, "event_type") if name in file.schema_arrow.names]
            for batch in file.iter_batches(BATCH_ROWS, columns=there):
                events = pa.array([EVENTS.get(path.name, "")] * batch.num_rows)
                if "event_type" in there:
                    events = batch["event_type"].cast(pa.string())
                ratios = pa.nulls(batch.num_rows, pa.float32())
                if "played_ratio_pct" in there:
                    ratios = pc.min_element_wise(
                        pc.divide(batch["played_ratio_pct"].cast(pa.float32()), 100), 1.0, skip_nulls=False
                    ).cast(pa.float32())
                table = pa.table(
                    {
                        "user_id": batch["uid"].cast(pa.string()),
                        "track_id": batch["item_id"].cast(pa.string()),
                        "timestamp": batch["timestamp"].cast(pa.int64()),
                        "event": events,
                        "played_ratio": ratios,
                    }
                )
                kept = pc.is_in(events, value_set=pa.array(KEPT))
                found |= set(pc.unique(batch["item_id"].filter(kept)).to_pylist())
                yield table.filter(kept)
    seen += sorted(found)


def _tracks(root: Path, items: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    """Tracks with their first artist's number, where the mapping is there."""
    artists = np.full(len(items), -1, dtype=np.int64)
    mapping = _above(root, "artist_item_mapping.parquet")
    if mapping:
        with _open(mapping, {"artist_id", "item_id"}) as file:
            table = file.read(["artist_id", "item_id"])
        owner, item = (table[name].to_numpy().astype(np.int64) for name in ("artist_id", "item_id"))
        order = np.lexsort((owner, item))
        item, places = np.unique(item[order], return_index=True)
        owner = owner[order][places]
        if len(item):
            at = np.minimum(np.searchsorted(item, items), len(item) - 1)
            artists = np.where(item[at] == items, owner[at], -1)
    blank = pa.array([""] * len(items), pa.string())
    named = pc.if_else(pa.array(artists >= 0), pa.array(artists).cast(pa.string()), "")
    ids = pa.array(items).cast(pa.string())
    return pa.table({"track_id": ids, "title": blank, "artist": named, "album": blank, "genre": blank})


def _content(path: Path) -> ContentTable:
    with _open(path, {"item_id", "embed"}) as file:
        parts = [
            (
                batch["item_id"],
                pc.list_flatten(batch["embed"]).cast(pa.float32()).to_numpy(zero_copy_only=False),
            )
            for batch in file.iter_batches(BATCH_ROWS >> 4, columns=["item_id", "embed"])
        ]
    ids = pa.chunked_array([part[0] for part in parts]).cast(pa.string())
    flat = np.concatenate([part[1] for part in parts])
    if not len(ids) or len(flat) % len(ids):
        raise DataError(
            f"{path}: {len(flat)} numbers for {len(ids)} tracks; vectors differ in length. Fetch it again."
        )
    return ContentTable(pa.table({"track_id": ids}), flat.reshape(len(ids), -1), "yambda-embed")


def _above(root: Path, name: str) -> Path | None:
    """A file in the folder or in one of the two above it."""
    return next(
        (folder / name for folder in (root, *root.absolute().parents[:2]) if (folder / name).is_file()), None
    )


def _open(path: Path, needed: set[str]) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}). Fetch it again.") from error
    if missing := sorted(needed - set(file.schema_arrow.names)):
        found = ", ".join(file.schema_arrow.names)
        raise DataError(
            f"{path}: column {missing[0]} is missing; the table has {found}. Is this Yambda's flat layout?"
        )
    return file
