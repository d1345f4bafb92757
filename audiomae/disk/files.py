"""Writing files so that a reader sees the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from audiomae.errors import DataError, MissingError, StorageError

__all__ = [
    "digest_of",
    "fingerprint_of",
    "inside",
    "locked",
    "read_json",
    "storage_errors",
    "write_atomically",
    "write_json",
]

TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")
"""Name of a file that `write_atomically` has not renamed yet, with the number of its process."""

_PIECE = 1 << 22


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a `StorageError` that names the file or folder."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot write ({error.strerror or error}). What was there before is intact; "
            "free some space or name another folder, then run the same command again."
        ) from error


@contextlib.contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it onto `path` when the block ends well.

    The bytes are on the disk before the rename, so a power cut leaves the old file or the new one.

    Raises:
        StorageError: If the disk refuses (full, read-only, no permission); the old file is intact.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    with write_atomically(path) as temporary:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path | str, *, format: str | None = None) -> dict[str, Any]:
    """Read a JSON object; with `format`, refuse one whose `"format"` entry is another.

    Raises:
        MissingError: If the file is not there or is cut short.
        DataError: If it is of another format.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device would be read for ever
            raise MissingError(f"{path}: is not a file. Name the right folder.")
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file. Is {path.parent} the folder you meant?") from None
    except RecursionError:
        raise MissingError(f"{path}: cannot be read (nested too deep). Make it again.") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MissingError(f"{path}: cannot be read ({reason}). Make it again.") from error
    if not isinstance(value, dict) or (format is not None and value.get("format") != format):
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{path}: format is {found!r}, not {format!r}. Name the right folder.")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number that can be used")
    return number


def inside(folder: Path | str, name: object, pattern: str) -> Path:
    """Return the path of a file that a folder's own JSON names, if the name is of the kind written there.

    Args:
        folder: The folder.
        name: What the JSON says: names joined by `/`.
        pattern: Regular expression that the whole name must match.

    Raises:
        DataError: If it is another name, or a link that leads out of the folder.

    Example:
        >>> inside("vectors", "clips/../../x", r"clips/part-[0-9]+")
        Traceback (most recent call last):
        audiomae.errors.DataError: vectors: names a file 'clips/../../x', which no such folder holds. Take another copy.
    """
    folder = Path(folder)
    if not isinstance(name, str) or not re.fullmatch(pattern, name) or ".." in name.split("/"):
        raise DataError(
            f"{folder}: names a file {str(name)[:80]!r}, which no such folder holds. Take another copy."
        )
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path}: is a link that leads out of {folder}. Put the file itself there.")
    return path


def sweep(folder: Path | str) -> int:
    """Remove the temporary files that processes which are gone left beside their places in a folder.

    Hold `locked` on the folder, so that nobody on another machine is writing there.

    Returns:
        How many there were.
    """
    removed = 0
    for parent in (Path(folder), *(place for place in Path(folder).glob("*") if place.is_dir())):
        if parent.is_symlink() or (parent != Path(folder) and (parent / ".lock").exists()):
            continue  # that folder's own lock says who writes there
        for path in parent.glob(".*.tmp"):
            found = TEMPORARY.fullmatch(path.name)
            if found and path.is_file() and not _runs(int(found[1])):
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
    return removed


def _runs(process: int) -> bool:
    """Return whether a process of this machine, other than this one, has that number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def fingerprint_of(*parts: Any) -> str:
    """Return 16 hexadecimal characters that stand for `parts` (JSON values or bytes)."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:16]


def digest_of(paths: Iterable[Path]) -> str:
    """Return `fingerprint_of` the bytes of some files, read piece by piece."""
    digest, piece = hashlib.sha256(), bytearray(_PIECE)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            digest.update(path.stat().st_size.to_bytes(8, "little"))
            while count := file.readinto(piece):
                digest.update(memoryview(piece)[:count])
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Hold `folder` for this process alone; the lock ends with the process, however it ends.

    Temporary files that a killed process left there are removed.

    Raises:
        DataError: If another process holds it.
        StorageError: If the folder cannot be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror}). Name another folder.") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                f"{folder}: another audiomae process is writing here. Wait for it, or name another folder."
            ) from None
        sweep(folder)
        yield
