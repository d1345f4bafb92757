"""Files that a URL names (s3://, gs://, file://, …): read through fsspec, and folders copied there.

A URL may stand in a table that somebody else wrote, and fsspec knows protocols that run code, open archives or chain
several of each (`reference://…::…`). So `connect_store`, which every URL passes, takes those of `PROTOCOLS` alone.

A store has no rename of folders, so a copy counts from the moment its JSON file is there, which comes last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec

from audiomae.disk.files import read_json, write_json
from audiomae.errors import AudiomaeError, ConfigError, DecodeError, MissingError, StorageError

__all__ = [
    "connect_store",
    "fetch_file",
    "find_files",
    "is_url",
    "local_copy",
    "staged",
    "stamp_url",
    "store_errors",
]

PROTOCOLS = ("abfs", "abfss", "az", "file", "gcs", "gs", "http", "https", "s3")
"""Stores that a URL may name. http and https are read from, never written to."""
TRIES = 3
"""Times that a file is asked for before it counts as out of reach."""
COPIED = ".copied.json"
"""In a staging folder: size and modification time of each file when it was last copied."""


def is_url(name: Path | str) -> bool:
    """Return whether a name is a URL rather than a path.

    Example:
        >>> is_url("s3://bucket/song.mp3"), is_url("songs/a.mp3")
        (True, False)
    """
    return "://" in str(name)


def connect_store(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the URL's path in it.

    Raises:
        ConfigError: If its protocol is not one of `PROTOCOLS`, it names several stores one behind another, or the
            package of its store is not installed.
    """
    url = str(url)
    protocol = url.partition("://")[0]
    if "::" in url or protocol not in PROTOCOLS:
        shown = "".join(mark if mark.isprintable() else "?" for mark in url)[:120]
        wrong = (
            "names several stores with '::'" if "::" in url else f"protocol {protocol[:20]!r} is not taken"
        )
        raise ConfigError(f"{shown}: {wrong}. Use one of {', '.join(PROTOCOLS)}.")
    try:
        store, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # noqa: BLE001  each store raises what its library raises
        raise ConfigError(f"{url}: {first_line(error)}. Is the package of that store installed?") from None
    return store, str(path)


def stamp_url(url: str) -> tuple[int, int]:
    """Return the size in bytes and the modification time in nanoseconds of a file; (-1, -1) if it is not there.

    A store that keeps no time gives a number that stands for what it tells of the file.
    """
    store, path = connect_store(url)
    try:
        about = store.info(path)
    except (OSError, ValueError):
        return -1, -1
    try:
        modified = round(store.modified(path).timestamp() * 1e9)
    except Exception:  # noqa: BLE001  each store has its own way to say that it knows no time
        told = repr(sorted((name, str(value)) for name, value in about.items()))
        modified = int.from_bytes(hashlib.sha256(told.encode()).digest()[:7], "little")
    return int(about.get("size") or 0), modified


def fetch_file(url: str, target: Path) -> None:
    """Copy one file to this machine, in `TRIES` tries.

    Raises:
        MissingError: If there is no such file.
        StorageError: If the store cannot be reached or refuses.
    """
    store, path = connect_store(url)
    for left in reversed(range(TRIES)):
        try:
            store.get_file(path, str(target))
            return
        except (FileNotFoundError, IsADirectoryError):
            raise MissingError(f"{url}: no such file") from None
        except Exception as error:  # noqa: BLE001  each store raises what its library raises
            if not left or isinstance(error, PermissionError):
                raise StorageError(f"{url}: fetch: {first_line(error)}") from None
            time.sleep(1)


@contextlib.contextmanager
def local_copy(name: Path | str) -> Iterator[Path]:
    """Give a path where the file can be read: its own, or a temporary copy of the same name for a URL.

    Raises:
        DecodeError: If the URL's file cannot be had.
    """
    if not is_url(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="audiomae-fetch-") as folder:
        target = Path(folder) / (str(name).rstrip("/").rpartition("/")[2][-200:] or "file")
        try:
            fetch_file(str(name), target)
        except AudiomaeError as error:
            raise DecodeError(str(error)) from None
        yield target


def staging_folder(url: str, staging: str = "") -> Path:
    """Return the local folder in which what will lie at `url` is made: the one named, or one in the cache."""
    if staging:
        return Path(staging)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "audiomae" / f"staging-{hashlib.sha256(url.rstrip('/').encode()).hexdigest()[:16]}"


@contextlib.contextmanager
def staged(out: str, index: str, staging: str = "") -> Iterator[Path]:
    """Give the folder to write to; copy it to `out` when the block ends well, if `out` is a URL.

    Args:
        out: A folder, given back as it is; or a URL.
        index: Name of the JSON file that makes the folder count; copied last.
        staging: Local folder for a URL; empty for one in the cache.

    Raises:
        StorageError: If the store holds such a folder that was not made in this staging folder, or no longer holds
            the one that was.
    """
    if not is_url(out):
        yield Path(out)
        return
    folder = staging_folder(out, staging)
    store, root = connect_store(out.rstrip("/"))
    with store_errors(out):
        held = store.exists(f"{root}/{index}")
    if held and not (folder / COPIED).exists():
        raise StorageError(
            f"{out}: holds {index} already, and {folder}, the folder it was made in, is not here. Name that "
            "folder with --staging, or another --out."
        )
    if not held and (folder / COPIED).exists():
        raise StorageError(
            f"{out}: no longer holds what was made in {folder} and copied there. Remove that folder to begin anew, "
            "or name another with --staging."
        )
    yield folder
    if (folder / index).exists():
        copy_folder(folder, out, index)


def copy_folder(folder: Path, url: str, index: str) -> list[str]:
    """Copy a folder to a store, its JSON file last, and remove there what the folder no longer holds.

    Hidden files stay behind, and so does a file that is there as it was copied before. Readers of a folder
    that is being replaced may for a moment meet new tables with the old JSON file, which `Corpus.open` refuses.

    Args:
        folder: What to copy.
        url: Where to.
        index: Name of the JSON file that makes the folder count.

    Returns:
        Names of the files copied, in order.

    Raises:
        StorageError: If the store refuses; the same command goes on from there.
    """
    store, root = connect_store(url.rstrip("/"))
    names = [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    names = sorted(names, key=lambda name: (name == index, "/" not in name, name))
    marks = {name: [(folder / name).stat().st_size, (folder / name).stat().st_mtime_ns] for name in names}
    try:
        before = read_json(folder / COPIED)
    except MissingError:
        before = {}
    before = before.get("files", {}) if before.get("url") == url else {}
    copied = []
    with store_errors(url):
        there = {path[len(root) :].lstrip("/"): about["size"] for path, about in find_files(store, root)}
        for name in names:
            if before.get(name) == marks[name] and there.get(name) == marks[name][0]:
                continue
            store.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            store.put_file(str(folder / name), f"{root}/{name}")
            copied.append(name)
        for name in sorted(before.keys() & there.keys() - marks.keys()):
            store.rm_file(f"{root}/{name}")
    write_json(folder / COPIED, {"url": url, "files": marks})
    return copied


def find_files(store: Any, root: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the files below a folder of a store, as the store tells of them; none where it is not there."""
    store.invalidate_cache()
    try:
        found = store.find(root, detail=True)
    except FileNotFoundError:
        return []
    return sorted(found.items())


@contextlib.contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn what a store refuses into one line."""
    try:
        yield
    except AudiomaeError:
        raise
    except Exception as error:
        raise StorageError(
            f"{url}: {first_line(error)}. What was there before is intact; run the same command again."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the kind of an error and its message, on one line."""
    text = " ".join(str(error).split())[:200].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
