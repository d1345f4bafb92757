"""Under which ids a music server knows the songs: a table of track_id (or path) and server_id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from audiomae.errors import DataError, MissingError
from audiomae.serve.answers import RefusedError
from audiomae.serve.snapshot import Snapshot

__all__ = ["ServerIds"]


@dataclass(frozen=True)
class ServerIds:
    """A table of ids; an empty one leaves the songs under their own ids.

    Attributes:
        server_of: Server's id of each track, by track id or path.
        track_of: The other way round.
        given: Whether there is a table; songs that are not in it are then unknown to the server.
    """

    server_of: dict[str, str] = field(default_factory=dict, repr=False)
    track_of: dict[str, str] = field(default_factory=dict, repr=False)
    given: bool = False

    @classmethod
    def read(cls, path: str | None) -> ServerIds:
        """Read a table: CSV or Parquet with server_id, and track_id or path.

        Raises:
            MissingError: If it is not there.
            DataError: If a column is missing, or two songs share an id.
        """
        if path is None:
            return cls()
        table = _table(Path(path))
        key = next((name for name in ("track_id", "path") if name in table.column_names), None)
        if key is None or "server_id" not in table.column_names:
            raise DataError(
                f"{path}: has columns {', '.join(table.column_names)[:200]}; it needs server_id, and track_id or path."
            )
        pairs = [
            (song, server)
            for song, server in zip(table[key].to_pylist(), table["server_id"].to_pylist(), strict=True)
            if song and server
        ]
        server_of, track_of = dict(pairs), {server: song for song, server in pairs}
        if len(server_of) != len(pairs) or len(track_of) != len(pairs):
            raise DataError(f"{path}: names a song or a server's id twice. Every pair must stand there once.")
        return cls(server_of, track_of, True)

    def row(self, snapshot: Snapshot, asked: str) -> int:
        """Return the row of a song by the server's id; without a table by its own id, path or title.

        Raises:
            RefusedError: If there is no such song.
            DataError: If several may be meant.
        """
        if not self.given:
            found = snapshot.row_of.get(asked)
            return snapshot.find(asked) if found is None else found
        song = self.track_of.get(asked)
        row = None if song is None else snapshot.row_of.get(song, snapshot.row_of_path.get(song))
        if row is None:
            raise RefusedError(404, f"song {asked[:100]!r} is not among those with vectors.")
        return row

    def name(self, track_id: str, path: str) -> str | None:
        """Return the server's id of a song; None where the server does not know it."""
        if not self.given:
            return track_id
        return self.server_of.get(track_id) or self.server_of.get(path)


def _table(path: Path) -> pa.Table:
    if not path.is_file():
        raise MissingError(f"{path}: no such file. Name a CSV or Parquet table with track_id and server_id.")
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            columns = [table[name].cast(pa.string()) for name in table.column_names]
            return pa.table(columns, names=table.column_names)
        with path.open("rb") as file:
            names = file.readline().decode("utf-8-sig").strip().split(",")
        kinds = {name.strip('"'): pa.string() for name in names}
        return pc.read_csv(path, convert_options=pc.ConvertOptions(column_types=kinds))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a table ({str(error).splitlines()[0][:150]}).") from None
