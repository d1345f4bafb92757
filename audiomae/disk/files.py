"""Writing files so that a reader sees the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiomae.errors import DataError, MissingError, StorageError

__all__ = ["fingerprint_of", "locked", "read_json", "write_atomically", "write_json"]


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
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot write ({error.strerror or error}). What was there before is intact; "
            "free some space or name another folder, then run the same command again."
        ) from error
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
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file. Is {path.parent} the folder you meant?") from None
    except (OSError, ValueError) as error:
        raise MissingError(f"{path}: cannot be read ({error}). Make it again.") from error
    if not isinstance(value, dict) or (format is not None and value.get("format") != format):
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{path}: format is {found!r}, not {format!r}. Name the right folder.")
    return value


def fingerprint_of(*parts: Any) -> str:
    """Return 16 hexadecimal characters that stand for `parts` (JSON values or bytes)."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Hold `folder` for this process alone; the lock ends with the process, however it ends.

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
        yield
