"""A collection as one Parquet file that Embedding Atlas opens, with its map and its true neighbours.

`embedding-atlas songs.parquet --x projection_x --y projection_y --neighbors neighbors --text text`

Source: https://apple.github.io/embedding-atlas/tool.html (the columns are named on its command line; neighbours are
row numbers from 0, with a distance each).
"""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.atlas.places import Method
from audiomae.atlas.stored import open_map
from audiomae.checks import require
from audiomae.disk.files import write_atomically
from audiomae.errors import DataError
from audiomae.vectors.search import nearest
from audiomae.vectors.vectors import Vectors

__all__ = [
    "atlas_command",
    "write_atlas",
]

ATLAS_COLUMNS = ("projection_x", "projection_y", "neighbors", "text", "region")
"""Columns beside those of the tracks."""
NEIGHBOURS = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))])


def write_atlas(
    vectors: Vectors, path: Path | str, *, neighbours: int = 15, method: Method | None = None
) -> pa.Table:
    """Write a row a track: its tags, a text of them, its place on the map, its region and its true nearest songs.

    Args:
        vectors: The collection; its map is made and stored beside it where there is none.
        path: Parquet file to write.
        neighbours: Nearest songs that a row names, 0 for none. Their distance is 1 − cosine in the space of
            the collection, in [0, 2].
        method: How the map is made: umap, or pca; the best that is installed without.

    Returns:
        The table.

    Raises:
        ConfigError: If `neighbours` is below 0.
        DataError: If the collection holds no track.
        StorageError: If the disk refuses.
    """
    require("neighbours", neighbours, least=0, most=1000)
    if not vectors.tracks.num_rows:
        raise DataError(f"{vectors.folder}: holds no track.")
    points = open_map(vectors, method=method)
    table = vectors.tracks.drop_columns(["vector"]).replace_schema_metadata(None)
    taken = [name for name in ATLAS_COLUMNS if name in table.column_names]
    table = table.drop_columns(taken)
    regions = np.array([*points.names, ""], dtype=object)[points.codes]
    table = (
        table.append_column("text", pa.array(_texts(vectors.tracks), pa.string()))
        .append_column("projection_x", pa.array(points.x))
        .append_column("projection_y", pa.array(points.y))
        .append_column("region", pa.array(regions.tolist(), pa.string()))
    )
    if neighbours:
        table = table.append_column("neighbors", _neighbours(vectors, neighbours))
    with write_atomically(path) as temporary:
        pq.write_table(table, temporary)
    return table


def atlas_command(path: Path | str) -> str:
    """Return the command that opens a file of `write_atlas`.

    Example:
        >>> atlas_command("songs.parquet")
        'embedding-atlas songs.parquet --x projection_x --y projection_y --neighbors neighbors --text text'
    """
    names = ("--x", "projection_x", "--y", "projection_y", "--neighbors", "neighbors", "--text", "text")
    return shlex.join(["embedding-atlas", str(path), *names])


def _texts(tracks: pa.Table) -> list[str]:
    """Return title, artist, album and genre of each track on one line; its id where it has none of them."""
    columns = [tracks[name].to_pylist() for name in ("title", "artist", "album", "genre")]
    ids = tracks["track_id"].to_pylist()
    rows = zip(*columns, strict=True)
    return [" · ".join(text for text in row if text) or name for name, row in zip(ids, rows, strict=True)]


def _neighbours(vectors: Vectors, count: int) -> pa.Array:
    ready = vectors.space.units
    found = nearest(ready, ready, count, without=list(range(len(ready))))
    rows = [
        {"ids": rows, "distances": distances}
        for rows, distances in zip(found.rows.tolist(), (1.0 - found.cosines).tolist(), strict=True)
    ]
    return pa.array(rows, NEIGHBOURS)
