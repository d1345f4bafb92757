"""Keeping a vectors folder up to date: look, wait until files lie still, prepare and embed what is new, store, log."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from audiomae.corpus.pool import warm_up
from audiomae.errors import MissingError
from audiomae.progress import SILENT, Progress
from audiomae.watching.change import Change
from audiomae.watching.folder import WatchedFolder
from audiomae.watching.known import Stamp, stamp_of
from audiomae.watching.look import Look, Settling, look_at
from audiomae.watching.making import Maker, Prepared
from audiomae.watching.notice import Notice
from data_prep.songs.folder import Search

__all__ = ["StoppedError", "Watcher"]

log = logging.getLogger(__name__)

POLL_SECONDS = 3.0
"""How often the folder is looked at where the system tells of no changes."""
LOOK_SHARE = 4
"""A look is followed by at least so many times its own length without one."""
RETRY_SECONDS = 60.0
"""After how long a passing fault is tried again, at first; each time twice as long, up to an hour."""
MISNAMED = "name: not valid UTF-8; rename the file"
SAID = ("added", "changed", "moved", "removed", "found again", "left out")
"""What a line of the log counts, in this order."""


class StoppedError(BaseException):
    """It was told to stop while it was at work; what was not stored is made again by the next run."""


class Watcher:
    """Follows one folder of songs.

    Args:
        folder: What is kept up to date, held by this process.
        songs: The folder of songs, by its whole path.
        maker: How songs become vectors.
        batch_songs: Songs that are prepared and stored together, at most.
        settle_seconds: How long a file must be unchanged before it is read, or gone before it is forgotten.
        rescan_seconds: How often the whole folder is looked at, whatever the system tells.
        progress: Told how far a batch is.

    Attributes:
        counts: What was added, changed, moved, removed, left out and found again so far.
    """

    def __init__(
        self,
        folder: WatchedFolder,
        songs: Path,
        maker: Maker,
        *,
        batch_songs: int = 50,
        settle_seconds: float = 2.0,
        rescan_seconds: float = 60.0,
        progress: Progress = SILENT,
    ) -> None:
        self.folder, self.songs, self.maker = folder, songs, maker
        self.batch_songs, self.rescan_seconds, self.progress = batch_songs, rescan_seconds, progress
        self.counts: Counter[str] = Counter()
        self._settling = Settling(settle_seconds)
        self._search: Search | None = Search()
        self._retries: dict[str, tuple[Stamp, float, float]] = {}
        self._stopping = threading.Event()
        self._storing = self._told_away = False
        self._look_seconds = 0.0
        self._notice: Notice | None = None

    def run(self, *, once: bool = False) -> None:
        """Bring the folder up to date, and go on until `stop`, or end there with `once`.

        Raises:
            MissingError: With `once`, if the songs are not there.
            StorageError: If the disk refuses; the next run goes on.
        """
        if self.folder.followed or self.folder.lost:
            self._store(Change(self.folder), always=True)
        if not once:
            warm_up()
        self._notice = None if once else Notice(self.songs, self.folder.folder)
        rest = self.rescan_seconds if self._notice is None or self._notice.hears else POLL_SECONDS
        try:
            while not self._stopping.is_set():
                wait = self.step(once=once)
                if wait == 0:
                    continue
                if wait is None and once:
                    return
                least = min(LOOK_SHARE * self._look_seconds, rest)
                self._rest(max(rest if wait is None else wait, least), least=least)
        finally:
            if self._notice is not None:
                self._notice.close()

    def stop(self) -> bool:
        """Ask for an end; return whether it is busy with something that may be broken off."""
        self._stopping.set()
        if self._notice is not None:
            self._notice.wake()
        return not self._storing

    def step(self, *, once: bool = False) -> float | None:
        """Look once, and store what has come of it: what is gone and moved, and one batch of what is new.

        Returns:
            Seconds until it is worth to look again; 0 where more is waiting already; None where nothing is.

        Raises:
            MissingError: With `once`, if the songs are not there.
        """
        look = self._look()
        if look is None:
            self._say_away(once=once)
            return None
        self._told_away = False
        now = time.monotonic()
        new = {path: stamp for path, stamp in look.files.items() if self._is_new(path, stamp, now)}
        gone = [path for path in self._known_here() if path not in look.files and not look.hides(path)]
        self._forget_moved(new, gone)
        still = self._settling.settled({**new, **dict.fromkeys(gone)})
        lost = [path for path in gone if path in still]
        change = Change(self.folder)
        change.remove(lost)
        for path in sorted(look.misnamed & still):
            change.refuse(path, new[path], MISNAMED)
        self._store(change)
        ready = [path for path in new if path in still and path not in look.misnamed]
        more = len(ready) > self.batch_songs
        if ready:
            more |= self._take({path: new[path] for path in ready[: self.batch_songs]}, len(ready))
        waiting = [path for path in (*new, *gone) if path not in still]
        return 0.0 if more else self._settling.wait_seconds(waiting)

    def _look(self) -> Look | None:
        """Return what is there; None where the songs are gone altogether, as behind a mount that is away."""
        search, self._search = self._search, None
        start = time.monotonic()
        look = look_at(self.songs, search)
        self._look_seconds = time.monotonic() - start
        if look is None or (not look.files and self._known_here()):
            self._search = search
            return None
        if search is not None:
            search.report()
        return look

    def _known_here(self) -> list[str]:
        """Return the known files that lie in the folder that is watched, in order."""
        below = f"{self.songs}/"
        return sorted(path for path in self.folder.known if path.startswith(below))

    def _say_away(self, *, once: bool) -> None:
        known = len(self._known_here())
        what = f"is empty, and {known} files are known of it" if self.songs.is_dir() else "is not there"
        line = f"{self.songs}: {what}; nothing is removed."
        if once:
            raise MissingError(f"{line} Mount it, or name another folder.")
        if not self._told_away:
            log.warning("%s Waiting for it.", line)
        self._told_away = True

    def _is_new(self, path: str, stamp: Stamp, now: float) -> bool:
        """Return whether a file is to be prepared."""
        retry = self._retries.get(path)
        if retry is not None and retry[0] == stamp:
            return now >= retry[1]
        row = self.folder.known.get(path)
        if row is None or row.stamp != stamp:
            return True
        return bool(row.reason) and not row.is_duplicate and self.maker.limits.stale(row.reason)

    def _forget_moved(self, new: dict[str, Stamp], gone: list[str]) -> None:
        """Give files that were moved or renamed their new paths, without preparing them again.

        A file that is gone and a new one of the same size and modification time, to the nanosecond, are one, if no
        other is of that stamp.
        """
        if not new or not gone:
            return
        left, came = dict[Stamp, list[str]](), dict[Stamp, list[str]]()
        for path in gone:
            left.setdefault(self.folder.known[path].stamp, []).append(path)
        for path, stamp in new.items():
            if path not in self.folder.known:
                came.setdefault(stamp, []).append(path)
        pairs = [
            (left[stamp][0], paths[0])
            for stamp, paths in came.items()
            if len(paths) == 1 and len(left.get(stamp, ())) == 1
        ]
        change = Change(self.folder)
        for old, path in pairs:
            change.move(old, path)
            gone.remove(old)
            del new[path]
        self._store(change)

    def _take(self, stamps: dict[str, Stamp], waiting: int) -> bool:
        """Prepare a batch of files, embed what is new of it, and store that; return whether some must come again."""
        change, again = Change(self.folder), False
        with self.maker.prepare(list(stamps), self.progress) as batch:
            songs = [song for song in batch.songs if self._is_as_it_was(song, stamps)]
            wanted = [song.track for song in songs if song.track >= 0 and self._wants(change, song, stamps)]
            clips = batch.embed(wanted, self.progress) if wanted else {}
            for song in songs:
                if song.content:
                    made = clips.get(song.track)
                    again |= not change.keep(song.path, song.stamp, song.content, song.row, made)
                    self._retries.pop(song.path, None)
                else:
                    self._refuse(change, song)
        self._store(change, waiting=waiting - len(songs))
        return again

    @staticmethod
    def _wants(change: Change, song: Prepared, stamps: Mapping[str, Stamp]) -> bool:
        """Return whether a song's clips may be needed: no file has its content, or one that may lose it now."""
        holder = change.holder_of(song.content)
        return holder is None or (holder != song.path and holder in stamps)

    def _is_as_it_was(self, song: Prepared, stamps: dict[str, Stamp]) -> bool:
        """Return whether a file is still the one that was found; another one must lie still again."""
        return song.stamp == stamps.get(song.path) == stamp_of(song.path)

    def _refuse(self, change: Change, song: Prepared) -> None:
        """Leave a song out; after a passing fault it is tried again later, and a track stays until then."""
        before = self.folder.known.get(song.path)
        if self.maker.limits.stale(song.reason):
            _, _, pause = self._retries.get(song.path, (song.stamp, 0.0, RETRY_SECONDS / 2))
            pause = min(2 * pause, 3600.0)
            self._retries[song.path] = (song.stamp, time.monotonic() + pause, pause)
            if before is not None and before.track_id:
                log.warning("%s cannot be read now: %s; tried again later", song.path, song.reason)
                return
        else:
            self._retries.pop(song.path, None)
        if before is None or before.reason != song.reason:
            log.warning("left out %s: %s", song.path, song.reason)
        change.refuse(song.path, song.stamp, song.reason)

    def _store(self, change: Change, *, waiting: int = 0, always: bool = False) -> None:
        """Store a change, if it is one, and say so in one line."""
        if not always and change.known == self.folder.known:
            return
        self._storing = True
        try:
            change.store()
        finally:
            self._storing = False
        self.counts += change.counts
        told = [f"{change.counts[name]} {name}" for name in SAID if change.counts[name]]
        log.info(
            "%s; %d songs, generation %d%s",
            ", ".join(told) or "followed from here",
            len(self.folder.rows),
            self.folder.generation,
            f"; {waiting} files to go" if waiting > 0 else "",
        )
        if self._stopping.is_set():
            raise StoppedError

    def _rest(self, seconds: float, *, least: float) -> None:
        """Wait for something to happen, for some seconds at most, and a few at least."""
        if self._notice is None:
            time.sleep(seconds)
            return
        self._stopping.wait(least)
        if seconds > least and not self._stopping.is_set():
            self._notice.wait(seconds - least)
