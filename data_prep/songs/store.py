"""Songs in a store: every audio file below a URL, or the songs of a list that lies there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from audiomae.corpus.song import Song
from audiomae.disk.stores import connect_store, fetch_file, find_files, store_errors
from audiomae.errors import MissingError
from data_prep.songs import table as listing
from data_prep.songs.folder import AUDIO_EXTENSIONS

__all__ = ["songs"]


def songs(url: str) -> Iterator[Song]:
    """Yield the songs at a URL: a file as it is, a folder with all audio below it, the rows of a list.

    They come in the order in which the same songs in a folder would. A relative path in a list starts at the
    list's own folder.

    Raises:
        MissingError: If there is nothing, or no audio.
        StorageError: If the store cannot be reached.
    """
    if PurePosixPath(url).suffix.lower() in listing.LIST_EXTENSIONS:
        yield from _listed(url)
        return
    url = url.rstrip("/")
    store, root = connect_store(url)
    with store_errors(url):
        found = [path for path, _ in find_files(store, root)]
    if found == [root]:
        yield Song(url=url)
        return
    if not found:
        raise MissingError(f"{url}: no such file or folder. Check the spelling.")
    names = sorted((path[len(root) :].lstrip("/") for path in found), key=lambda name: name.split("/"))
    names = [name for name in names if PurePosixPath(name).suffix.lower() in AUDIO_EXTENSIONS]
    names = [name for name in names if not name.rpartition("/")[2].startswith("._")]
    if not names:
        raise MissingError(f"{url}: no audio found. Name a folder that holds some.")
    for name in names:
        yield Song(url=f"{url}/{name}")


def _listed(url: str) -> Iterator[Song]:
    above, _, file = url.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="audiomae-list-") as folder:
        fetch_file(url, Path(folder) / file)
        for song in listing.songs(Path(folder) / file):
            inside = song.path.is_relative_to(folder)
            here = f"{above}/{song.path.relative_to(folder).as_posix()}" if inside else ""
            yield song if song.url or not inside else replace(song, path=Path(), url=here)
