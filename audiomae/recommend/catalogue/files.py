"""The files of a catalogue: whole versions side by side, one of them named by `catalogue.json`.

catalogue/
    catalogue.json      format, current version, what the vectors were made from, sizes and digest; written last
    v00001/
        items.parquet   track_id (sorted), title, artist, album, genre, path, first_seen, plays
        projected.npy   float32 (items, dim), what users are compared with
        history.npy     float32 (items, dim), what a user's history is made of; only where it differs
        queries.npy     float32 (queries, dim), held-out user vectors that the search is tuned on; large ones only
        index.faiss     inverted lists; large ones only

A change writes a whole new version beside the old one and then renames `catalogue.json` onto the old one, so
that a reader, and a kill at any moment, sees the old catalogue or the new one. A reader checks every byte of the
version against the digest, and what the bytes say against each other: `check.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.disk.files import digest_of, fingerprint_of, locked, read_json, write_atomically, write_json
from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.recommend.catalogue.check import FILES, check_meta, check_parts, check_vectors
from audiomae.recommend.catalogue.inverted_lists import InvertedLists

__all__ = ["Parts", "changing", "merge_parts", "read_version", "write_version"]

FORMAT = "audiomae-catalogue/1"
_AGAIN = "Make the catalogue again with audiomae train-towers."


@dataclass(frozen=True)
class Parts:
    """The arrays and the table of one version.

    Attributes:
        items: A row a track, sorted by track_id.
        projected: float32 (items, dim).
        history: float32 (items, dim).
        queries: float32 (queries, dim) that the search is tuned on, if it is.
        lists: Inverted lists, if there are any.
    """

    items: pa.Table
    projected: NDArray[np.float32]
    history: NDArray[np.float32]
    queries: NDArray[np.float32] | None = None
    lists: InvertedLists | None = None


def merge_parts(old: Parts, new: Parts) -> Parts:
    """Return the items of both, sorted by id; queries and lists are left out."""
    items = pa.concat_tables([old.items, new.items])
    names = items["track_id"].to_pylist()
    order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
    return Parts(
        items.take(pa.array(order)).combine_chunks(),
        np.concatenate([old.projected, new.projected])[order],
        np.concatenate([old.history, new.history])[order],
    )


@contextlib.contextmanager
def changing(folder: Path | str) -> Iterator[None]:
    """Hold a catalogue's folder to change it; versions that killed changes have left are removed.

    So the same change after a kill writes the same version under the same name.

    Raises:
        DataError: If another process holds it.
        StorageError: If the folder cannot be made.
    """
    folder = Path(folder)
    with locked(folder):
        if not (folder / "catalogue.json").exists():
            _remove_versions(folder, but="")
        else:
            with contextlib.suppress(DataError):  # a damaged one: whoever reads it says so
                _remove_versions(folder, but=_live(folder)["version"])
        yield


def _live(folder: Path) -> dict[str, Any]:
    """Return what `catalogue.json` says, its names checked."""
    meta = read_json(folder / "catalogue.json", format=FORMAT)
    check_meta(folder / "catalogue.json", meta)
    return meta


def _remove_versions(folder: Path, *, but: str) -> None:
    for path in folder.glob("v[0-9]*"):
        if path.name != but:
            shutil.rmtree(path, ignore_errors=True)


def write_version(folder: Path, origin: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """Write the next version, name it in `catalogue.json`, then remove the others.

    Where the live version holds the same bytes, made from the same, it stays: a change may be made again.

    Args:
        folder: The catalogue's folder, held by the caller (`changing`).
        origin: Entries of `catalogue.json` that say what the items were made from.
        parts: What to write.

    Returns:
        What `catalogue.json` says now.

    Raises:
        DataError: If a vector is not finite.
    """
    check_vectors(folder, parts.projected, parts.history)
    taken = [int(path.name[1:]) for path in folder.glob("v[0-9]*") if path.name[1:].isdigit()]
    version = f"v{max(taken, default=0) + 1:05d}"
    place = folder / version
    with write_atomically(place / "items.parquet") as temporary:
        pq.write_table(parts.items, temporary)
    arrays = {"projected.npy": parts.projected}
    if not np.array_equal(parts.projected, parts.history):
        arrays["history.npy"] = parts.history
    if parts.queries is not None:
        arrays["queries.npy"] = parts.queries
    for name, array in arrays.items():
        with write_atomically(place / name) as temporary, temporary.open("wb") as handle:
            np.save(handle, array, allow_pickle=False)
    if parts.lists is not None:
        parts.lists.write(place / "index.faiss")
    written = [name for name in FILES if (place / name).exists()]
    meta = {
        **origin,
        "format": FORMAT,
        "version": version,
        "items": parts.items.num_rows,
        "dim": int(parts.projected.shape[1]),
        "bytes": {name: (place / name).stat().st_size for name in written},
        "digest": digest_of([place / name for name in written]),
    }
    with contextlib.suppress(DataError):  # none yet, or a damaged one
        live = _live(folder)
        if _fingerprint({**meta, "version": live["version"]}) == live.get("fingerprint"):
            shutil.rmtree(place, ignore_errors=True)
            return live
    meta["fingerprint"] = _fingerprint(meta)
    _sync(place)
    write_json(folder / "catalogue.json", meta)
    _sync(folder)
    _remove_versions(folder, but=version)
    return meta


def read_version(folder: Path) -> tuple[dict[str, Any], Parts]:
    """Read what `catalogue.json` says and the version that it names; arrays are memory-mapped, lists are not read.

    Raises:
        MissingError: If a file is missing, cut short or damaged.
        DataError: If the folder is of another format, or its vectors or ids make no sense.
        FingerprintError: If `catalogue.json` was edited.
    """
    while True:
        meta = _live(folder)
        if meta.get("fingerprint") != _fingerprint(meta):
            raise FingerprintError(f"{folder / 'catalogue.json'}: was edited by hand. {_AGAIN}")
        try:
            parts = _read(folder / meta["version"], meta)
        except MissingError:
            # A writer may have replaced the version between the two reads.
            if read_json(folder / "catalogue.json", format=FORMAT)["version"] == meta["version"]:
                raise
            continue
        check_parts(folder / meta["version"], meta, parts.items, parts.projected, parts.history)
        return meta, parts


def _read(place: Path, meta: dict[str, Any]) -> Parts:
    sizes: dict[str, int] = meta["bytes"]
    for name, size in sizes.items():
        path = place / name
        found = path.stat().st_size if path.exists() else 0
        if found != size:
            raise MissingError(f"{path}: {found} bytes of {size}, missing or cut short. {_AGAIN}")
    try:
        if digest_of([place / name for name in FILES if name in sizes]) != meta["digest"]:
            raise MissingError(
                f"{place}: damaged, its {sum(sizes.values()):,} bytes are not those that were written. {_AGAIN}"
            )
        items = pq.read_table(place / "items.parquet")
        arrays = {
            name: np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("projected", "history", "queries")
            if f"{name}.npy" in sizes
        }
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise MissingError(f"{place}: damaged ({reason}). {_AGAIN}") from error
    if "path" not in items.column_names:  # written before paths were kept
        items = items.append_column("path", pa.array([""] * items.num_rows, pa.string()))
    return Parts(
        items, arrays["projected"], arrays.get("history", arrays["projected"]), arrays.get("queries")
    )


def _fingerprint(meta: dict[str, Any]) -> str:
    return fingerprint_of({name: value for name, value in meta.items() if name != "fingerprint"})


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
