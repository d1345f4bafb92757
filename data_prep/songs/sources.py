"""Every source of songs by its name; a new one is a file beside this one, and a line in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from audiomae.checks import close_to
from audiomae.corpus.song import Song
from audiomae.disk.stores import is_url
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from data_prep.songs import debian, fma, folder, gtzan, jamendo, store
from data_prep.songs import table as listing
from data_prep.songs.generated import songs as generated

__all__ = ["Asked", "check_source", "find_songs"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a source."""

    names: Sequence[str] = ()
    """What is named: files, folders, packages, URLs, as the source takes them."""
    songs_dir: str = ""
    """Folder that keeps the songs of a source that brings them itself; empty where there is none."""
    table: str = ""
    """Table that describes the songs; empty for the one beside them."""
    count: int = 0
    """Songs to make."""
    seed: int = 0
    """Which collection to make."""
    progress: Progress = SILENT
    """Told how far making or downloading is."""


class Source(NamedTuple):
    """Where songs come from."""

    needs: str
    """What must be named, in words; empty for a source that makes its songs."""
    songs: Callable[[Asked], Iterator[Song]]
    """Yields them, in order."""
    urls: bool = False
    """Whether the names may be URLs."""


def find_songs(source: str, asked: Asked) -> Iterator[Song]:
    """Yield the songs of a source.

    Args:
        source: Its name, a key of `SOURCES`.
        asked: What is named, and what else it needs.

    Raises:
        ConfigError: If the source needs something else than what is named.
        DataError: If a place or a list is not there, or not as it should be.
    """
    check_source(source)
    about, names = SOURCES[source], asked.names
    if names and not about.needs:
        raise ConfigError(
            f"source {source} makes its songs; {names[0]!r} is one too many. Name none, or use --source folder."
        )
    if about.needs and not names:
        raise ConfigError(f"source {source} needs {about.needs}; 0 are named. Name at least one.")
    if not about.urls and (url := next(filter(is_url, names), None)):
        raise ConfigError(f"source {source} reads a local tree, not {url}. Copy it, or write a list.")
    yield from about.songs(asked)


def check_source(name: str) -> None:
    """Refuse a name that no source has.

    Raises:
        ConfigError: If it is none; the line names those there are.
    """
    if name not in SOURCES:
        raise ConfigError(
            f"source {name!r} is not one. {close_to(name, SOURCES)} There are {', '.join(SOURCES)}.".replace(
                "  ", " "
            )
        )


def _of_places(asked: Asked) -> Iterator[Song]:
    """Yield the songs of files, folders, lists and URLs."""
    for name in asked.names:
        if is_url(name):
            yield from store.songs(name)
        elif Path(name).suffix.lower() in listing.LIST_EXTENSIONS and not Path(name).is_dir():
            yield from listing.songs(Path(name))
        else:
            yield from folder.songs([Path(name)])


def _of_lists(asked: Asked) -> Iterator[Song]:
    for name in asked.names:
        yield from store.songs(name) if is_url(name) else listing.songs(Path(name))


def _of_fma(asked: Asked) -> Iterator[Song]:
    for name in asked.names:
        yield from fma.songs(name)


def _of_jamendo(asked: Asked) -> Iterator[Song]:
    for name in asked.names:
        yield from jamendo.songs(name, asked.table or None)


def _of_gtzan(asked: Asked) -> Iterator[Song]:
    for name in asked.names:
        yield from gtzan.songs(name)


def _of_debian(asked: Asked) -> Iterator[Song]:
    return debian.songs(asked.names, _own_folder(asked), progress=asked.progress)


def _generated(asked: Asked) -> Iterator[Song]:
    return generated.songs(_own_folder(asked), asked.count, asked.seed, progress=asked.progress)


def _own_folder(asked: Asked) -> Path:
    if not asked.songs_dir:
        raise ConfigError("this source keeps its songs in a folder. Name one with --songs_dir.")
    return Path(asked.songs_dir)


TREE = "the folder of the unpacked archive"
SOURCES: dict[str, Source] = {
    "folder": Source("files, folders or lists", _of_places, urls=True),
    "list": Source("lists (.csv, .tsv, .parquet)", _of_lists, urls=True),
    "fma": Source(TREE, _of_fma),
    "jamendo": Source(TREE, _of_jamendo),
    "gtzan": Source(TREE, _of_gtzan),
    "debian": Source("names of packages", _of_debian),
    "generated": Source("", _generated),
}
"""The sources by the names that `audiomae prepare --source` takes."""
