"""Writing a corpus: shards one after another, a journal of the finished ones, and one moment of commitment.

A killed run leaves the last committed corpus as it was, and beside it a journal from which the next run
goes on:

    .journal/settings.json      mel settings of the unfinished run
    .journal/shard-00003.json   written once mels/shard-00003.npy is complete: its tracks, and the rejects before
    .commit/                    the journal, renamed when the three files below are complete: that is the commit
        tracks.parquet, rejects.parquet, corpus.json     renamed into place by this run, or by the next one
    .spool-*/                   log-mels of single tracks that no shard holds yet; worth nothing after a kill
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.audio.mel import MelSettings
from audiomae.corpus.corpus import (
    CORPUS_FORMAT,
    REJECT_SCHEMA,
    TRACK_SCHEMA,
    Corpus,
    corpus_fingerprint,
    read_rows,
)
from audiomae.corpus.meta import mel_from_json, shard_file
from audiomae.disk.files import read_json, storage_errors, write_atomically, write_json
from audiomae.errors import DataError, FingerprintError, MissingError, StorageError

__all__ = ["CorpusWriter"]

JOURNAL_FORMAT = "audiomae-journal/1"
Row = dict[str, Any]


class CorpusWriter:
    """Appends tracks to the corpus in a folder, new or not; nothing counts until `commit`.

    Hold `audiomae.disk.files.locked` on the folder while one exists.

    Attributes:
        folder: Folder of the corpus.
        tracks: Rows of tracks.parquet by path, shards still open included.
        rejects: Rows of rejects.parquet by path.
        resumed: Whether an interrupted run had left finished shards.
    """

    def __init__(self, folder: Path | str, mel: MelSettings, *, shard_bytes: int = 32 << 20) -> None:
        """Read what the folder holds, and what an interrupted run left in its journal.

        Args:
            folder: Folder of the corpus; made if it is not there.
            mel: Settings of the log-mels that will be added.
            shard_bytes: A shard is closed before it grows past this; one longer track makes a longer shard.

        Raises:
            FingerprintError: If the folder's log-mels have other settings.
            MissingError: If a file of the corpus is gone or cut short.
            StorageError: If the disk refuses.
        """
        self.folder = Path(folder)
        self.mel = mel
        self.shard_bytes = shard_bytes
        self.journal = self.folder / ".journal"
        self.tracks: dict[str, Row] = {}
        self.rejects: dict[str, Row] = {}
        self.shards: dict[int, int] = {}
        self.decoders: list[dict[str, str]] = []
        self.open_tracks: list[tuple[Row, Path]] = []
        self.open_rejects: list[Row] = []
        self.open_bytes = 0
        self.resumed = False
        with storage_errors(self.folder):
            self._finish_commit()
        if (self.folder / "corpus.json").exists():
            self._read_corpus()
        elif (self.folder / "tracks.parquet").exists():
            raise MissingError(f"{self.folder}: tracks.parquet without corpus.json. Use another folder.")
        self._read_journal()
        with storage_errors(self.folder):
            self._remove_strays()

    @contextlib.contextmanager
    def spool(self) -> Iterator[Path]:
        """Give a folder on the same disk for log-mels on their way into a shard; it goes with the block."""
        folder = self.folder / f".spool-{os.getpid()}"
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def drop(self, path: str) -> None:
        """Forget what is known of a file, so that it can be added anew."""
        self.tracks.pop(path, None)
        self.rejects.pop(path, None)

    def add(self, row: Row, mels: Path) -> None:
        """Append a track.

        Args:
            row: Values of `TRACK_SCHEMA`, without shard and first_frame.
            mels: File of its log-mels, raw float16 (frames, mels); deleted once a shard holds them.
        """
        size = int(row["frames"]) * self.mel.mels * 2
        if self.open_tracks and self.open_bytes + size > self.shard_bytes:
            self.close_shard()
        self.drop(row["path"])
        row = {
            "note": "",
            **row,
            "shard": self.next_shard,
            "first_frame": self.open_bytes // (2 * self.mel.mels),
        }
        self.tracks[row["path"]] = row
        self.open_tracks.append((row, mels))
        self.open_bytes += size

    def reject(self, row: Row) -> None:
        """Note a file that is left out; `row` holds the values of `REJECT_SCHEMA`."""
        self.drop(row["path"])
        self.rejects[row["path"]] = row
        self.open_rejects.append(row)

    @property
    def next_shard(self) -> int:
        """Number of the shard that takes the next track."""
        return max(self.shards, default=-1) + 1

    def close_shard(self) -> None:
        """Write the tracks that wait, as one shard, and then its entry in the journal.

        Raises:
            StorageError: If the disk refuses.
        """
        if not self.open_tracks:
            return
        number = self.next_shard
        path = self.folder / shard_file(number)
        frames = sum(int(row["frames"]) for row, _ in self.open_tracks)
        with write_atomically(path) as temporary, temporary.open("wb") as shard:
            header = {"descr": "<f2", "fortran_order": False, "shape": (frames, self.mel.mels)}
            np.lib.format.write_array_header_1_0(shard, header)
            start = shard.tell()
            for _, mels in self.open_tracks:
                with mels.open("rb") as spooled:
                    shutil.copyfileobj(spooled, shard, 1 << 20)
            if shard.tell() - start != frames * self.mel.mels * 2:
                raise StorageError(
                    f"{path}: {shard.tell() - start} bytes of log-mels, not those of {frames} frames."
                )
        size = path.stat().st_size
        self._begin_journal()
        entry = {"bytes": size, "tracks": [row for row, _ in self.open_tracks], "rejects": self.open_rejects}
        write_json(self.journal / f"shard-{number:05d}.json", {"format": JOURNAL_FORMAT, **entry})
        for _, mels in self.open_tracks:
            mels.unlink(missing_ok=True)
        self.shards[number] = size
        self.open_tracks, self.open_rejects, self.open_bytes = [], [], 0

    def commit(self, decoder: dict[str, str]) -> None:
        """Close the last shard and make everything added since the last commit the corpus.

        Args:
            decoder: Versions of what decoded the new tracks.

        Raises:
            StorageError: If the disk refuses; the corpus is as it was.
        """
        self.close_shard()
        if decoder not in self.decoders:
            self.decoders.append(decoder)
        tracks = sorted(self.tracks.values(), key=lambda row: (row["shard"], row["first_frame"]))
        rejects = sorted(self.rejects.values(), key=lambda row: row["path"])
        self._begin_journal()
        write_table(self.journal / "tracks.parquet", tracks, TRACK_SCHEMA)
        write_table(self.journal / "rejects.parquet", rejects, REJECT_SCHEMA)
        write_json(self.journal / "corpus.json", self._summary(tracks, len(rejects)))
        with storage_errors(self.folder):
            self.journal.rename(self.folder / ".commit")
            self._finish_commit()
            self.shards = {shard: self.shards[shard] for shard in {row["shard"] for row in tracks}}
            self._remove_strays()

    def _summary(self, tracks: list[Row], rejects: int) -> Row:
        """Return what corpus.json says."""
        values = sum(row["frames"] for row in tracks) * self.mel.mels
        mean = math.fsum(row["mel_sum"] for row in tracks) / values if values else 0.0
        squares = math.fsum(row["mel_square_sum"] for row in tracks) / values if values else 0.0
        used = {row["shard"] for row in tracks}
        contents = [row["content"] for row in tracks]
        return {
            "format": CORPUS_FORMAT,
            "mel": asdict(self.mel),
            "decoders": self.decoders,
            "mean": mean,
            "std": math.sqrt(max(squares - mean * mean, 0.0)),
            "tracks": len(tracks),
            "rejects": rejects,
            "frames": values // self.mel.mels,
            "seconds": math.fsum(row["seconds"] for row in tracks),
            "shards": [
                {"shard": number, "file": shard_file(number), "bytes": size}
                for number, size in sorted(self.shards.items())
                if number in used
            ],
            "fingerprint": corpus_fingerprint(self.mel, [row["track_id"] for row in tracks], contents),
        }

    def _begin_journal(self) -> None:
        """Write the journal's settings, once."""
        settings = self.journal / "settings.json"
        if not settings.exists():
            write_json(settings, {"format": JOURNAL_FORMAT, "mel": asdict(self.mel)})

    def _finish_commit(self) -> None:
        """Put in place what a commit left to be renamed."""
        staged = self.folder / ".commit"
        for name in ("tracks.parquet", "rejects.parquet", "corpus.json"):
            if (staged / name).exists():
                (staged / name).replace(self.folder / name)
        shutil.rmtree(staged, ignore_errors=True)

    def _remove_strays(self) -> None:
        """Remove what killed runs left half-done, and shards whose every track has been prepared again."""
        for folder in self.folder.glob(".spool-*"):
            shutil.rmtree(folder, ignore_errors=True)
        strays = [*self.folder.glob(".*.tmp"), *self.folder.glob("mels/.*.tmp"), *self.journal.glob(".*.tmp")]
        held = {self.folder / shard_file(shard) for shard in self.shards}
        for path in [*strays, *(set(self.folder.glob("mels/shard-*.npy")) - held)]:
            path.unlink(missing_ok=True)

    def _read_corpus(self) -> None:
        """Take up the committed corpus."""
        corpus = Corpus.open(self.folder)
        self._check_mel(corpus.mel)
        self.tracks = {row["path"]: row for row in corpus.tracks.to_pylist()}
        rejects = read_rows(self.folder / "rejects.parquet", REJECT_SCHEMA)
        self.rejects = {row["path"]: row for row in rejects.to_pylist()}
        self.shards = {int(shard["shard"]): int(shard["bytes"]) for shard in corpus.meta["shards"]}
        self.decoders = list(corpus.meta["decoders"])

    def _read_journal(self) -> None:
        """Take up the shards that an interrupted run finished."""
        if not (self.journal / "settings.json").exists():
            return
        settings = read_json(self.journal / "settings.json", format=JOURNAL_FORMAT)
        self._check_mel(mel_from_json(settings["mel"]))
        while (path := self.journal / f"shard-{self.next_shard:05d}.json").exists():
            try:
                entry = read_json(path, format=JOURNAL_FORMAT)
                whole = (self.folder / shard_file(self.next_shard)).stat().st_size == entry["bytes"]
                rejects = pa.Table.from_pylist(entry["rejects"], schema=REJECT_SCHEMA).to_pylist()
                tracks = pa.Table.from_pylist(entry["tracks"], schema=TRACK_SCHEMA).to_pylist()
            except (OSError, KeyError, TypeError, AttributeError, pa.ArrowException, DataError):
                whole = False
            if not whole:
                return  # decoded again, as if it had never been
            self.shards[self.next_shard] = int(entry["bytes"])
            self.resumed = True
            for row in rejects:
                self.drop(row["path"])
                self.rejects[row["path"]] = row
            for row in tracks:
                self.drop(row["path"])
                self.tracks[row["path"]] = {"note": "", **row}

    def _check_mel(self, found: MelSettings) -> None:
        """Refuse other mel settings than those of the folder."""
        asked, held = asdict(self.mel), asdict(found)
        other = [f"{key} {held[key]}, not {asked[key]}" for key in asked if asked[key] != held[key]]
        if other:
            raise FingerprintError(
                f"{self.folder}: made with mel.{'; mel.'.join(other)}. Use those settings, or another --out."
            )


def write_table(path: Path, rows: list[Row], schema: pa.Schema) -> None:
    """Write rows as Parquet, atomically."""
    with write_atomically(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")
