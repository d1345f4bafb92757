"""From songs to a corpus: what all sources share. Resumes, adds only what is new, and survives bad files."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audiomae.audio.decode import decoder_versions
from audiomae.audio.mel import MelSettings, mel_filters
from audiomae.checks import require
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.pool import Job, Result, available_cores, prepare_in_order
from audiomae.corpus.song import TAGS, Song
from audiomae.corpus.worker import Limits
from audiomae.corpus.writer import CorpusWriter
from audiomae.disk.files import locked
from audiomae.disk.stores import stamp_url
from audiomae.progress import SILENT, Progress

__all__ = ["PrepareResult", "prepare_corpus"]

NOT_DECODED = ("name", "too short", "track_id taken")
"""Kinds of reasons that no decoder changes."""
Engine = Callable[[Sequence[Job], int, MelSettings, Limits], Iterator[tuple[int, Result]]]
"""What prepares songs, as `prepare_in_order` does: jobs, workers, mel and limits → results in order."""


@dataclass(frozen=True)
class PrepareResult:
    """What preparing did.

    Attributes:
        corpus: The corpus, a folder or URL.
        tracks: Tracks it holds now.
        hours: Hours it holds now.
        songs: Songs asked for in this run.
        kept: Songs asked for that the corpus holds, themselves or as a duplicate.
        added: Tracks added.
        known: Songs that were in the corpus or its rejects already, unchanged.
        rejected: Songs asked for that are left out, now or since an earlier run, by kind; without duplicates.
        duplicates: Songs asked for that are left out because their content is there already.
        decoded_seconds: Audio added, in seconds.
        wall_seconds: Time taken, in seconds.
        fingerprint: Fingerprint of the corpus.
    """

    corpus: str
    tracks: int
    hours: float
    songs: int
    kept: int
    added: int
    known: int
    rejected: dict[str, int]
    duplicates: int
    decoded_seconds: float
    wall_seconds: float
    fingerprint: str


def prepare_corpus(
    songs: Sequence[Song],
    out: Path | str,
    *,
    mel: MelSettings | None = None,
    workers: int = 0,
    limits: Limits | None = None,
    shard_megabytes: float = 32.0,
    engine: Engine | None = None,
    progress: Progress = SILENT,
) -> PrepareResult:
    """Decode songs into the corpus in a folder, new or not.

    The result depends on the songs and their order alone, not on `workers` or `engine`, nor on how often a
    run was killed.

    Args:
        songs: Songs, in order; a path that comes again counts once.
        out: Folder of the corpus. One that is there is extended: songs known by path, size and modification
            time are not decoded again.
        mel: Settings of the log-mels; None for the defaults.
        workers: Processes; 0 for one a core.
        limits: What a song must reach; None for the defaults.
        shard_megabytes: Size that a shard does not pass, in MiB, unless a single track does.
        engine: What prepares the songs; None for processes of this machine.
        progress: Told how far it is, by the bytes of the songs.

    Returns:
        What was done.

    Raises:
        ConfigError: If a setting is out of range.
        DataError: If another process is writing there.
        FingerprintError: If the folder was made with other mel settings.
        StorageError: If the disk refuses; the corpus is as it was.
    """
    mel, limits = mel or MelSettings(), limits or Limits()
    require("workers", workers, least=0)
    require("shard_megabytes", shard_megabytes, above=0, most=4096, unit="MiB")
    mel_filters(mel)
    start = time.perf_counter()
    asked = first_of_each(songs)
    with locked(out):
        writer = CorpusWriter(out, mel, shard_bytes=int(shard_megabytes * 2**20))
        run = Run(writer, mel, limits, workers if engine else workers or available_cores(), engine)
        run.plan(asked)
        if run.songs:
            run.decode(progress)
        if run.songs or run.edited or not (writer.folder / "corpus.json").exists() or writer.resumed:
            writer.commit(decoder_versions())
    return run.result(asked, time.perf_counter() - start)


class Run:
    """One pass over the songs: which are new, and what became of them."""

    def __init__(
        self, writer: CorpusWriter, mel: MelSettings, limits: Limits, workers: int, engine: Engine | None
    ) -> None:
        self.writer, self.mel, self.limits, self.workers = writer, mel, limits, workers
        self.engine = engine or prepare_in_order
        self.songs: list[tuple[Song, dict[str, Any]]] = []
        self.edited = False
        self.added = 0
        self.seconds = 0.0
        self.ids: dict[str, str] = {}
        self.contents: dict[str, str] = {}

    def plan(self, songs: Sequence[Song]) -> None:
        """Choose the songs to decode, and forget what is known of those that changed."""
        tracks, rejects = self.writer.tracks, self.writer.rejects
        stamps = stamps_of(songs)
        for song in songs:
            stamp = stamps[song.name]
            row = tracks.get(stamp["path"])
            if row is None or stamp["bytes"] < 0:  # new; or gone, and then it stays as it was
                continue
            if not same_file(row, stamp) or song.track_id not in ("", row["track_id"]):
                self.writer.drop(row["path"])
        self.ids = {row["track_id"]: path for path, row in tracks.items()}
        self.contents = {row["content"]: path for path, row in tracks.items()}
        for song in songs:
            stamp = stamps[song.name]
            if row := tracks.get(stamp["path"]):
                wanted = {field: getattr(song, field) or row[field] for field in TAGS}
                self.edited |= any(row[field] != text for field, text in wanted.items())
                row.update(wanted)
            elif not ((row := rejects.get(stamp["path"])) and self.still_rejected(row, stamp, song)):
                self.songs.append((song, stamp))

    def still_rejected(self, row: dict[str, Any], stamp: dict[str, Any], song: Song) -> bool:
        """Return whether a file that was left out before would be left out again."""
        reason = row["reason"]
        if not same_file(row, stamp) or self.limits.stale(reason):
            return False
        kind = reason.partition(": ")[0]
        if kind == "no such file" and stamp["bytes"] >= 0:  # it vanished under the decoder, and is back
            return False
        decoders = self.writer.decoders
        if decoders and decoder_versions() not in decoders and not row["content"] and kind not in NOT_DECODED:
            return False  # another decoder may read it
        if reason.startswith("track_id taken: "):
            return song.track_id in self.ids and f": {song.track_id!r} is " in reason
        return not row["content"] or row["content"] in self.contents

    def decode(self, progress: Progress) -> None:
        """Prepare the chosen songs and hand them to the writer in order."""
        weights = [max(stamp["bytes"], 1) for _, stamp in self.songs]
        with self.writer.spool() as spool, progress.stage("preparing", total=sum(weights)) as stage:
            mels = (spool / f"{number}.mel" for number in range(len(self.songs)))
            jobs = [
                Job(song.url or song.path, file) for (song, _), file in zip(self.songs, mels, strict=True)
            ]
            start, done = time.perf_counter(), 0
            for number, result in self.engine(jobs, self.workers, self.mel, self.limits):
                song, stamp = self.songs[number]
                self.take(song, stamp, result, jobs[number].mels)
                speed = self.seconds / max(time.perf_counter() - start, 1e-9)
                done += weights[number]
                stage.update(done, f"{number + 1} of {len(jobs)} songs, {speed:.0f}× real time")
            self.writer.close_shard()

    def result(self, asked: Sequence[Song], wall_seconds: float) -> PrepareResult:
        """Return what became of the songs that were asked for."""
        rows = [self.writer.rejects.get(printable(song.name)) for song in asked]
        kinds = Counter(row["reason"].partition(":")[0] for row in rows if row)
        duplicates = kinds.pop("duplicate", 0)
        corpus = Corpus.open(self.writer.folder)
        return PrepareResult(
            corpus=str(self.writer.folder),
            tracks=len(corpus),
            hours=float(corpus.meta["seconds"]) / 3600,
            songs=len(asked),
            kept=len(asked) - kinds.total(),
            added=self.added,
            known=len(asked) - len(self.songs),
            duplicates=duplicates,
            rejected=dict(kinds.most_common()),
            decoded_seconds=self.seconds,
            wall_seconds=wall_seconds,
            fingerprint=corpus.fingerprint,
        )

    def take(self, song: Song, stamp: dict[str, Any], result: Result, mels: Path) -> None:
        """Add or reject one song."""
        reason, content = result.get("reason", ""), result.get("content", "")
        if stamp["path"] != song.name:
            reason = "name: not valid UTF-8; rename the file"
        if not reason and content in self.contents:
            reason = f"duplicate: same content as {self.contents[content]}"
        else:
            content = "" if reason else content
        track_id = song.track_id or result.get("content", "")[:16]
        if not reason and track_id in self.ids:
            reason, content = f"track_id taken: {track_id!r} is {self.ids[track_id]}", ""
        if reason:
            mels.unlink(missing_ok=True)
            self.writer.reject({**stamp, "reason": reason, "content": content})
            return
        fields = {field: getattr(song, field) or result[field] for field in TAGS}
        self.writer.add({**result, **fields, **stamp, "track_id": track_id}, mels)
        self.ids[track_id] = self.contents[content] = stamp["path"]
        self.added += 1
        self.seconds += result["seconds"]


def first_of_each(songs: Sequence[Song]) -> list[Song]:
    """Return the songs by absolute path, without those whose path came before."""
    kept: dict[str, Song] = {}
    for song in songs:
        path = os.path.abspath(song.path)  # noqa: PTH100 - resolve() would follow links
        kept.setdefault(song.url or path, song if song.url else replace(song, path=Path(path)))
    return list(kept.values())


def printable(path: str) -> str:
    """Return a path as UTF-8 text; bytes that are none become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def stamps_of(songs: Sequence[Song]) -> dict[str, dict[str, Any]]:
    """Return the stamps of songs by their names; stores are asked for many at once."""
    urls = [song.url for song in songs if song.url]
    with ThreadPoolExecutor(16) as pool:
        told = dict(zip(urls, pool.map(stamp_url, urls), strict=True))
    stamps = {
        url: {"path": printable(url), "bytes": size, "modified_ns": modified}
        for url, (size, modified) in told.items()
    }
    return stamps | {song.name: stamp_of(song.path) for song in songs if not song.url}


def stamp_of(path: Path) -> dict[str, Any]:
    """Return the path, size in bytes and modification time by which a file is known."""
    name = printable(str(path))
    try:
        status = path.stat()
    except (OSError, ValueError):
        return {"path": name, "bytes": -1, "modified_ns": -1}
    return {"path": name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def same_file(row: dict[str, Any], stamp: dict[str, Any]) -> bool:
    """Return whether a file is the one that `row` was made from."""
    return bool(row["bytes"] == stamp["bytes"] and row["modified_ns"] == stamp["modified_ns"])
