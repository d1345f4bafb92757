"""What is checked of a catalogue before anything is made of it: names, sizes, ids and vectors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.errors import DataError
from audiomae.recommend.catalogue.mapped_rows import release_pages

__all__ = ["FILES", "check_meta", "check_parts", "check_vectors"]

FILES = ("items.parquet", "projected.npy", "history.npy", "queries.npy", "index.faiss")
"""Every file that a version may hold."""
_COLUMNS = ("track_id", *TAGS, "first_seen", "plays")
_VERSION = re.compile(r"v[0-9]{5,18}")
_ROWS = 1 << 16
_AGAIN = "Make the catalogue again with audiomae train-towers."


def check_meta(path: Path, meta: dict[str, Any]) -> None:
    """Refuse a `catalogue.json` whose names or numbers are not of the kind that is written.

    Nothing of it becomes a path before: a version is one plain name, and files are those of `FILES`.

    Raises:
        DataError: With the first entry that is wrong.
    """
    version, sizes, index = meta.get("version"), meta.get("bytes"), meta.get("index")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise DataError(f"{path}: version is {version!r}; it must be a name like v00001. {_AGAIN}")
    if not isinstance(sizes, dict) or not {"items.parquet", "projected.npy"} <= set(sizes) <= set(FILES):
        raise DataError(f"{path}: bytes must give the sizes of {', '.join(FILES)}, not {sizes!r}. {_AGAIN}")
    counts = {"items": meta.get("items"), "dim": meta.get("dim"), **sizes}
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise DataError(f"{path}: {name} is {count!r}; it must be a whole number above 0. {_AGAIN}")
    for name in ("total_plays", "unplayed_log_prior"):
        _check_number(path, name, meta.get(name))
    if index is not None:
        if not isinstance(index, dict) or "index.faiss" not in sizes:
            raise DataError(f"{path}: index is {index!r}, but no index.faiss belongs to it. {_AGAIN}")
        for name in ("scale", "gamma", "target", "k", "probes"):
            _check_number(path, f"index.{name}", index.get(name))


def check_parts(
    place: Path,
    meta: dict[str, Any],
    items: pa.Table,
    projected: NDArray[np.float32],
    history: NDArray[np.float32],
) -> None:
    """Refuse a version whose table and arrays do not fit each other, or hold what no search can order.

    Raises:
        DataError: With the first thing that is wrong.
    """
    if absent := [name for name in _COLUMNS if name not in items.column_names]:
        raise DataError(f"{place / 'items.parquet'}: column {absent[0]} is missing. {_AGAIN}")
    shape = meta["items"], meta["dim"]
    for name, found in (("projected.npy", projected), ("history.npy", history)):
        if found.shape != shape or found.dtype != np.float32:
            raise DataError(
                f"{place / name}: holds {found.dtype} {found.shape}, not float32 {shape}. {_AGAIN}"
            )
    if items.num_rows != shape[0]:
        raise DataError(f"{place / 'items.parquet'}: {items.num_rows} tracks of {shape[0]}. {_AGAIN}")
    ids = items["track_id"].combine_chunks()
    if not pa.types.is_string(ids.type) or ids.null_count or ids[0].as_py() == "":
        raise DataError(f"{place / 'items.parquet'}: some tracks have no track_id. {_AGAIN}")
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        raise DataError(
            f"{place / 'items.parquet'}: its track ids are not sorted, or one comes twice. {_AGAIN}"
        )
    plays = items["plays"]
    if not pa.types.is_integer(plays.type) or plays.null_count or pc.min(plays).as_py() < 0:
        raise DataError(f"{place / 'items.parquet'}: plays must be whole numbers from 0. {_AGAIN}")
    check_vectors(place, projected, history)


def check_vectors(place: Path, projected: NDArray[np.float32], history: NDArray[np.float32]) -> None:
    """Refuse vectors that hold NaN or infinity: no score of such a track can be ordered.

    Raises:
        DataError: With the first row that does.
    """
    arrays = (
        {"projected": projected} if history is projected else {"projected": projected, "history": history}
    )
    for name, array in arrays.items():
        for first in range(0, len(array), _ROWS):
            block = array[first : first + _ROWS]
            # A sum of squares is finite unless an entry is not, or is too large to be one of a vector.
            if not math.isfinite(float(np.vdot(block, block))):
                row = first + int(np.argmin(np.isfinite(block).all(axis=1)))
                raise DataError(f"{place}: the {name} vector of track {row} holds NaN or infinity. {_AGAIN}")
        release_pages(array)


def _check_number(path: Path, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{path}: {name} is {value!r}; it must be a number. {_AGAIN}")
