"""folder of songs → vectors that stay up to date, for as long as it runs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audiomae.checks import require, require_all
from audiomae.corpus.worker import Limits
from audiomae.disk.commits import latest
from audiomae.disk.files import locked
from audiomae.disk.stores import is_url
from audiomae.errors import ConfigError, FingerprintError, MissingError
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.progress import SILENT, Progress
from audiomae.vectors.embed import SHORTEST_SECONDS
from audiomae.watching.child import end_with_parent
from audiomae.watching.folder import WatchedFolder
from audiomae.watching.making import Maker
from audiomae.watching.watcher import StoppedError, Watcher

__all__ = ["WatchResult", "WatchSettings", "watch"]

log = logging.getLogger(__name__)

WATCHED = "watched"
"""Stands for the corpus in vectors.json: there is none, as songs come and go."""


@dataclass(frozen=True)
class WatchSettings:
    """Settings of `audiomae watch`.

    Attributes:
        songs: Folder of songs to follow, with all folders below it.
        out: Vectors folder to keep up to date; one that `audiomae export` made is followed on with its layer, pooling,
            hop and whitening.
        model: Run folder of the model, or the name of one in the package; the one that made the vectors that are
            there.
        once: Whether to end once all is up to date, instead of going on until SIGTERM or Ctrl-C.
        rescan_seconds: How often the whole folder is looked at, in seconds, for what the system does not tell, as of
            network mounts.
        settle_seconds: How long a file must be unchanged before it is read, in seconds.
        batch_songs: Songs that are prepared and stored together, at most; a kill loses no more than these.
        batch: Clips a forward pass.
        device: Where to compute, such as cpu or cuda:1; auto takes a GPU if there is one.
        threads: CPU threads, and processes that decode; 0 for all cores.
        part_clips: Clips in a Parquet part, at least.
    """

    songs: str
    out: str = "vectors"
    model: str = "tiny"
    once: bool = False
    rescan_seconds: float = 60.0
    settle_seconds: float = 2.0
    batch_songs: int = 50
    batch: int = 64
    device: str = "auto"
    threads: int = 0
    part_clips: int = 2048

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("rescan_seconds", self.rescan_seconds, least=1, most=86_400, unit="seconds")
        require("settle_seconds", self.settle_seconds, least=0, most=3600, unit="seconds")
        require_all(self, "batch_songs", "batch", "part_clips", least=1)
        require("threads", self.threads, least=0)
        for name in (self.songs, self.out):
            if is_url(name):
                raise ConfigError(
                    f"watch follows folders of this machine, not {name}. Mount it, and name that."
                )


@dataclass(frozen=True)
class WatchResult:
    """What `watch` did until it was told to stop, or until all was up to date.

    Attributes:
        vectors: The vectors folder.
        tracks: Tracks in it.
        generation: Number of its last change.
        added: Songs added.
        changed: Songs whose files changed.
        moved: Songs whose files have other paths now.
        removed: Songs removed.
        left_out: Files that could not be used.
        duplicates: Files whose content another has.
        seconds: How long it ran.
    """

    vectors: str
    tracks: int
    generation: int
    added: int
    changed: int
    moved: int
    removed: int
    left_out: int
    duplicates: int
    seconds: float


def watch(settings: WatchSettings, *, progress: Progress = SILENT) -> WatchResult:
    """Keep a vectors folder up to date with a folder of songs.

    A change is stored as a whole or not at all, so that whoever has the folder open reads the old state or the new
    one, and a killed run is taken up by the next.

    Raises:
        MissingError: If the songs are not there, and never were or `once` is set.
        FingerprintError: If the folder was made with another model.
        DataError: If another process holds the folder, or it is damaged.
        StorageError: If the disk refuses; the same command goes on from there.
    """
    started = time.monotonic()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    out, songs = Path(settings.out), Path(os.path.abspath(settings.songs))  # noqa: PTH100 - links stay
    if not songs.is_dir() and not latest(out, "watch.parquet").exists():
        raise MissingError(f"{settings.songs}: no such folder. Check the spelling.")
    embedder = load(settings.model, device=settings.device)
    with locked(out):
        folder = _open(settings, embedder)
        watcher = Watcher(
            folder,
            songs,
            _maker(settings, embedder, folder),
            batch_songs=settings.batch_songs,
            settle_seconds=settings.settle_seconds,
            rescan_seconds=settings.rescan_seconds,
            progress=progress,
        )
        log.info("%s: %d songs; following %s", out, len(folder.rows), songs)
        with _told_to_stop(watcher), contextlib.suppress(StoppedError):
            watcher.run(once=settings.once)
        counts = watcher.counts
        return WatchResult(
            settings.out,
            len(folder.rows),
            folder.generation,
            counts["added"],
            counts["changed"],
            counts["moved"],
            counts["removed"],
            counts["left out"],
            counts["found again"],
            round(time.monotonic() - started, 3),
        )


def _open(settings: WatchSettings, embedder: Embedder) -> WatchedFolder:
    """Open the vectors folder, or make one without songs."""
    out = Path(settings.out)
    if latest(out, "vectors.json").exists():
        folder = WatchedFolder.open(out, settings.part_clips)
        made_with = folder.settings["model_fingerprint"]
        if made_with != embedder.fingerprint:
            raise FingerprintError(
                f"{out}: was made with model {made_with}, but {settings.model} is {embedder.fingerprint}. Name the "
                "model that made it with --model, or another --out."
            )
        if folder.lost:
            log.warning("%s: %d songs stood in parts that are damaged; making them again", out, folder.lost)
        return folder
    hop_frames = max(1, embedder.mel.frames_of(embedder.hop_seconds))
    about: dict[str, Any] = {
        "model_fingerprint": embedder.fingerprint,
        "corpus_fingerprint": WATCHED,
        "layer": embedder.layer,
        "pool": embedder.pool,
        "hop_seconds": embedder.mel.seconds_of(hop_frames),
        "precision": "fp32",
        "whiten": 0,
        "whitening_fingerprint": "",
        "whiten_kind": "",
        "clip_seconds": embedder.clip_seconds,
    }
    return WatchedFolder.make(out, about, embedder.dim, settings.part_clips)


def _maker(settings: WatchSettings, embedder: Embedder, folder: WatchedFolder) -> Maker:
    """Return what makes vectors like those of the folder."""
    about, whitening = folder.settings, None
    if about.get("whiten"):
        path = folder.folder / "whitening.safetensors"
        whitening = Whitening.load(path)
        if whitening.fingerprint != about["whitening_fingerprint"]:
            raise FingerprintError(f"{path}: is not the one the vectors were made with. Name another --out.")
    return Maker(
        embedder.with_pooling(layer=about["layer"], pool=about["pool"]),
        whitening,
        max(1, embedder.mel.frames_of(float(about["hop_seconds"]))),
        settings.batch,
        about["precision"],
        settings.threads,
        Limits(shortest_seconds=SHORTEST_SECONDS),
        folder.folder,
    )


@contextlib.contextmanager
def _told_to_stop(watcher: Watcher) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end a watcher in order: at once, but not between two steps of storing a change."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        first, told = not told, True
        if watcher.stop() and first:
            raise StoppedError

    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
