"""Songs in folders: every audio file below the named places, in the order of their names."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiomae.audio.container import ENDINGS
from audiomae.corpus.song import Song
from audiomae.errors import MissingError

__all__ = ["AUDIO_EXTENSIONS", "Search", "songs"]

AUDIO_EXTENSIONS = ENDINGS
"""Endings, in lower case, of the files that a folder is searched for: all that the decoder reads."""
BESIDE = frozenset((
    "", ".bmp", ".cue", ".db", ".gif", ".htm", ".html", ".ico", ".ini", ".jpeg", ".jpg", ".json", ".log", ".lrc",
    ".m3u", ".m3u8", ".md", ".md5", ".nfo", ".pdf", ".pls", ".png", ".sfv", ".sha256", ".txt", ".url", ".webp", ".xml",
    ".yaml", ".yml",
))  # fmt: skip
"""Endings of what lies beside songs and is none; passed over without a word."""
TRASH = frozenset(("$recycle.bin", "@eadir", "__macosx", "lost+found", "system volume information"))
"""Folders, in lower case, of what systems keep or threw away; those whose names begin with a dot come on top."""

logger = logging.getLogger(__name__)


def songs(paths: Sequence[Path | str]) -> Iterator[Song]:
    """Yield the songs at `paths`: a file as it is, a folder with all audio below it.

    A file named by itself is yielded whatever its ending. What is found twice is yielded once. Files that are
    passed over are counted by their ending, and folders that are hidden or hold trash are named, in one line of
    the log each.

    Raises:
        MissingError: If a path is not there, or none holds audio.
    """
    seen: set[str] = set()
    search = Search()
    for path in map(Path, paths):
        if not os.path.lexists(path):
            raise MissingError(f"{path}: no such file or folder. Check the spelling.")
        for file in search.walk(path) if path.is_dir() else [path]:
            whole = os.path.abspath(file)  # noqa: PTH100 - resolve() would follow links
            if whole not in seen:
                seen.add(whole)
                yield Song(file)
    search.report()
    if not seen:
        named = ", ".join(map(str, paths)) or "nothing"
        raise MissingError(
            f"{named}: no audio found; files ending in .wav, .flac, .mp3, .ogg, .opus, .m4a and the like are"
            " taken. Name a folder that holds some."
        )


class Search:
    """What one search passes over.

    Attributes:
        passed: Files by their ending.
        skipped: Folders that are hidden or hold trash.
    """

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.skipped: list[Path] = []

    def walk(self, folder: Path) -> Iterator[Path]:
        """Yield the audio files below a folder."""
        entered: set[tuple[int, int]] = set()
        waiting = [folder]  # a stack of our own: a tree may be deeper than Python's
        while waiting:
            place = waiting.pop()
            if not is_folder(place):
                yield place
                continue
            try:
                status = place.stat()
                names = sorted(entry.name for entry in os.scandir(place))
            except OSError:
                yield place
                continue
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            if not names and place.suffix.lower() in AUDIO_EXTENSIONS:
                yield place
            waiting.extend(reversed([path for path in (place / name for name in names) if self.takes(path)]))

    def takes(self, path: Path) -> bool:
        """Return whether to go on with a folder or a file; note what is passed over."""
        if is_folder(path):
            hidden = path.name.startswith(".") and not path.name.startswith("..")
            if hidden or path.name.lower() in TRASH:
                self.skipped.append(path)
                return False
            return True
        # "._song.mp3" is what macOS leaves beside a song on foreign disks, not a song.
        if path.suffix.lower() in AUDIO_EXTENSIONS:
            return not path.name.startswith("._")
        self.passed[path.suffix.lower()] += 1
        return False

    def report(self) -> None:
        """Say once what was passed over."""
        other = {ending: count for ending, count in self.passed.most_common() if ending not in BESIDE}
        if other:
            kinds = ", ".join(f"{count} {ending}" for ending, count in list(other.items())[:10])
            logger.warning("passed over by their endings, as no audio that is read here: %s", kinds)
        if self.skipped:
            names = ", ".join(str(path) for path in self.skipped[:3])
            more = f" and {len(self.skipped) - 3} more" if len(self.skipped) > 3 else ""
            logger.warning(
                "left out, hidden or trash: %s%s; name such a folder itself to take it", names, more
            )


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; a link to itself, or a path too long, does not."""
    try:
        return path.is_dir()
    except (OSError, RuntimeError):
        return False
