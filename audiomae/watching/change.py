"""One change of a watched folder, worked out before any of it is stored: what files bring, take away and hand over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from audiomae.corpus.tags import read_tags
from audiomae.vectors.writer import TrackClips
from audiomae.watching.folder import Row, WatchedFolder
from audiomae.watching.known import DUPLICATE, Known, Stamp, key_of, stamp_of

__all__ = ["Change"]


class Change:
    """What will be different. The folder stays as it is until `store`.

    Attributes:
        known: The files, as they will be known.
        rows: The tracks, as they will be.
        counts: How many files were added, changed, moved, removed, left out or found again.
    """

    def __init__(self, folder: WatchedFolder) -> None:
        self.folder = folder
        self.known, self.rows = dict(folder.known), dict(folder.rows)
        self.counts: Counter[str] = Counter()
        self._added: dict[str, TrackClips] = {}
        self._holders = {key_of(row.content): path for path, row in self.known.items() if row.track_id}
        self._holders.pop("", None)

    def holder_of(self, content: str) -> str | None:
        """Return the path of the track that has a content."""
        return self._holders.get(key_of(content))

    def remove(self, paths: Iterable[str]) -> None:
        """Forget files that are gone; a track goes with its file, unless another file has the same content."""
        for row in [self.known.pop(path) for path in paths]:
            if row.track_id:
                self._leave(row)

    def move(self, old: str, new: str) -> None:
        """Give a file that has another path now its new one; it keeps its id."""
        row = self.known.pop(old)
        if row.track_id:
            self._hand_over(row.track_id, row._replace(path=new))
        else:
            self.known[new] = row._replace(path=new)
        self.counts["moved"] += 1

    def refuse(self, path: str, stamp: Stamp, reason: str) -> None:
        """Note a file that cannot be used; the track that it was goes."""
        before = self.known.pop(path, None)
        if before is not None and before.track_id:
            self._leave(before)
        self.known[path] = Known(path, *stamp, "", "", reason)
        self.counts["left out"] += 1

    def keep(self, path: str, stamp: Stamp, content: str, row: Row, clips: TrackClips | None) -> bool:
        """Take a file that was prepared.

        Args:
            path: Its path.
            stamp: The file as it was prepared.
            content: Hash of what it sounds like.
            row: What is known of it: tags, seconds, what was measured.
            clips: Its clips; None where they were not computed, as another file has that content.

        Returns:
            Whether it could be taken; it must be prepared anew where its clips turn out to be needed.
        """
        key, before = key_of(content), self.known.get(path)
        found = Known(path, *stamp, content, key, "")
        if before is not None and before.track_id and key == (key_of(before.content) or before.track_id):
            self._hand_over(before.track_id, found._replace(track_id=before.track_id))
            self.counts["changed"] += 1
            return True
        if clips is None and key not in self._holders:
            return False
        if before is not None:
            del self.known[path]
            if before.track_id:
                self._leave(before, silent=True)
        holder = self._holders.get(key)
        if holder is not None and stamp_of(holder) is not None:
            self.known[path] = found._replace(track_id="", reason=f"{DUPLICATE}: same content as {holder}")
            self.counts["found again"] += 1
        elif holder is not None:
            self._hand_over(self.known.pop(holder).track_id, found)
            self.counts["moved"] += 1
        elif key in self.rows:
            self.known[path] = found._replace(track_id="", content="", reason=f"track_id taken: {key!r}")
            self.counts["left out"] += 1
        elif clips is not None:
            self.known[path] = found
            self.rows[key] = {**row, "track_id": key, "path": path}
            self._added[key] = clips._replace(track_id=key)
            self._holders[key] = path
            self.counts["changed" if before is not None and before.track_id else "added"] += 1
        else:
            return False
        return True

    def store(self) -> None:
        """Make it the state of the folder; errors as for `WatchedFolder.store`."""
        added = [clips for track, clips in self._added.items() if track not in self.folder.rows]
        self.folder.store(self.rows, added, self.known)

    def _leave(self, row: Known, *, silent: bool = False) -> None:
        """Let a track's file go: a file with the same content takes its place, or the track goes too."""
        key = key_of(row.content)
        self._holders.pop(key, None)
        others = [other for other in self.known.values() if key and key_of(other.content) == key]
        if heir := min((other for other in others if other.is_duplicate), default=None):
            self._hand_over(row.track_id, heir._replace(reason=""))
        else:
            self.rows.pop(row.track_id, None)
            self._added.pop(row.track_id, None)
        self.counts["removed"] += not silent

    def _hand_over(self, track: str, row: Known) -> None:
        """Make a file the one of a track, with its tags."""
        self.known[row.path] = row._replace(track_id=track)
        self.rows[track] = {**self.rows[track], **read_tags(Path(row.path)), "path": row.path}
        if key := key_of(row.content):
            self._holders[key] = row.path
