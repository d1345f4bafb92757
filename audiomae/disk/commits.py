"""Changing several files of a folder together: after a kill at any moment, all of them are new or none is."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from audiomae.disk.files import storage_errors
from audiomae.errors import AudiomaeError

__all__ = ["commit_together", "drop_commit", "finish_commit", "latest", "read_settled"]

COMMITTED = ".commit"
"""Folder of new files that count already and are still to be moved to their places."""
STAGED = ".commit.new"
"""Folder of new files that do not count yet."""
TRIES = 5
"""How often a folder that changes while it is read is read again."""
Read = TypeVar("Read")


@contextlib.contextmanager
def commit_together(folder: Path | str, *, last: str) -> Iterator[Path]:
    """Give an empty folder to write files into; when the block ends well, they replace those of `folder` together.

    The moment of commitment is one rename. What a killed process had committed is finished first. Hold `locked` on
    the folder.

    Args:
        folder: The folder whose files change.
        last: Name of the file that is moved after all others, by which readers notice the change.

    Raises:
        StorageError: If the disk refuses; before the commitment the old files are intact, after it the next
            `finish_commit` goes on.
    """
    folder = Path(folder)
    finish_commit(folder, last=last)
    staged = folder / STAGED
    with storage_errors(folder):
        staged.mkdir(parents=True)
    try:
        yield staged
        with storage_errors(folder):
            for path in (*staged.iterdir(), staged):
                _flush(path)
            staged.replace(folder / COMMITTED)
            _flush(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    finish_commit(folder, last=last)


def finish_commit(folder: Path | str, *, last: str) -> None:
    """Move files that were committed to their places, and forget those that were not. Hold `locked` on the folder.

    Raises:
        StorageError: If the disk refuses; calling again goes on.
    """
    folder = Path(folder)
    committed = folder / COMMITTED
    with storage_errors(folder):
        if (folder / STAGED).exists():
            shutil.rmtree(folder / STAGED)
        if not committed.exists():
            return
        for path in sorted(committed.iterdir(), key=lambda path: (path.name == last, path.name)):
            path.replace(folder / path.name)
        _flush(folder)
        committed.rmdir()


def drop_commit(folder: Path | str) -> None:
    """Forget files that were committed and not moved, of a folder that is made afresh. Hold `locked` on the folder."""
    for name in (STAGED, COMMITTED):
        shutil.rmtree(Path(folder) / name, ignore_errors=True)


def latest(folder: Path | str, name: str) -> Path:
    """Return where the committed text of a file lies: among those still to be moved, or in its place."""
    waiting = Path(folder) / COMMITTED / name
    return waiting if waiting.exists() else Path(folder) / name


def read_settled(folder: Path | str, last: str, read: Callable[[], Read]) -> Read:
    """Return what `read` makes of a folder's files, read again where they changed meanwhile.

    Args:
        folder: The folder.
        last: Name of the file that changes last, or whose change tells of all others.
        read: Reads the files, each where `latest` says.

    Raises:
        AudiomaeError: What `read` raised though nothing had changed.
    """
    for _ in range(TRIES):
        before, moved = _stamp(folder, last), _left(folder)
        try:
            found = read()
        except (AudiomaeError, OSError):
            # A file may have been moved to its place between being found and being opened.
            if (_stamp(folder, last), _left(folder)) == (before, moved):
                raise
            continue
        if _stamp(folder, last) == before:
            return found
    return read()


def _stamp(folder: Path | str, name: str) -> tuple[int, int, int] | None:
    """Return what changes whenever a file does; it stays the same when the file is moved to its place."""
    try:
        status = latest(folder, name).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _left(folder: Path | str) -> list[str]:
    """Return the names of the files that are still to be moved."""
    try:
        return sorted(os.listdir(Path(folder) / COMMITTED))  # noqa: PTH208 - names alone
    except OSError:
        return []


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
