"""`audiomae prepare`: songs become a corpus of log-mels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from audiomae.audio.mel import MelSettings
from audiomae.cluster.songs import prepare_on_ray
from audiomae.cluster.stream import load_ray
from audiomae.corpus.build import Summary, prepare_corpus
from audiomae.corpus.song import Song
from audiomae.corpus.worker import Limits
from audiomae.disk.stores import is_url, staged
from audiomae.errors import ConfigError
from data_prep.songs import debian, fma, folder, gtzan, jamendo
from data_prep.songs import store as stored
from data_prep.songs import table as listing
from data_prep.songs.generated import songs as generated

__all__ = ["PrepareSettings", "find_songs", "prepare"]


@dataclass(frozen=True)
class PrepareSettings:
    """Settings of `audiomae prepare`.

    Attributes:
        songs: Files, folders and lists (.csv, .tsv, .parquet with a column path), mixed, or URLs of such in a
            store (s3://, gs://, ... as fsspec reads them); for other sources than folder, what that source says.
        out: Folder of the corpus, or URL; one that is there is extended by the songs that are new.
        source: Where the songs come from: folder (files, folders, lists), list (lists alone), fma, jamendo
            or gtzan (the unpacked tree), debian (names of packages), generated (no songs named; see count).
        mel: Settings of the log-mels.
        workers: Processes, 0 for one a core.
        shortest_seconds: Shortest song that is kept, in seconds.
        quietest_dbfs: Quietest song that is kept, RMS in dB below full scale.
        shard_megabytes: Size that a shard of log-mels does not pass, in MiB, unless one track does.
        table: For jamendo, its TSV; empty for the one beside the audio.
        songs_dir: For debian and generated, the folder that keeps the songs; empty for OUT-songs.
        count: For generated, how many songs.
        seed: For generated, which collection of songs.
        engine: What prepares the songs: local, processes of this machine; ray, the CPUs of a Ray cluster
            (uv sync --extra ray), with the same result. Its nodes must have audiomae and the same decoders
            installed, and see the songs at the same paths, unless URLs name them.
        ray_address: For engine ray, auto or host:port of a cluster that this machine belongs to; none for
            RAY_ADDRESS, or else a cluster of this machine alone.
        staging: For an out that is a URL, the local folder in which the corpus is made; empty for one in the
            cache. Keep it to go on after a kill or to add songs; corpus.json is copied last.
    """

    songs: tuple[str, ...] = ()
    out: str = "corpus"
    source: Literal["folder", "list", "fma", "jamendo", "gtzan", "debian", "generated"] = "folder"
    mel: MelSettings = field(default_factory=MelSettings)
    workers: int = 0
    shortest_seconds: float = 5.0
    quietest_dbfs: float = -80.0
    shard_megabytes: float = 32.0
    table: str = ""
    songs_dir: str = ""
    count: int = 200
    seed: int = 0
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    staging: str = ""


def prepare(config: PrepareSettings) -> int:
    """Prepare the songs; return 1 if none of them is in the corpus.

    Raises:
        AudiomaeError: If songs cannot be found, or the corpus not be written.
    """
    limits = Limits(config.shortest_seconds, config.quietest_dbfs)
    engine = partial(prepare_on_ray, address=config.ray_address) if config.engine == "ray" else None
    if engine:
        load_ray()
    with staged(config.out, "corpus.json", config.staging) as folder:
        summary = prepare_corpus(
            list(find_songs(config)),
            folder,
            mel=config.mel,
            workers=config.workers,
            limits=limits,
            shard_megabytes=config.shard_megabytes,
            engine=engine,
        )
    report(summary, config.out)
    return 0 if summary.kept else 1


def find_songs(config: PrepareSettings) -> Iterator[Song]:
    """Yield the songs that the settings name.

    Raises:
        ConfigError: If the source needs something else than what is named.
        DataError: If a place or a list is not there, or not as it should be.
    """
    names, source = config.songs, config.source
    if source == "generated":
        if names:
            raise ConfigError(f"source generated makes its songs; {names[0]!r} is one too many. Use --count.")
        yield from generated.songs(songs_dir(config), config.count, config.seed)
        return
    if not names:
        raise ConfigError(f"source {source} needs {NEEDS[source]}; 0 are named. Name at least one.")
    if source == "debian":
        yield from debian.songs(names, songs_dir(config))
        return
    for name in names:
        if is_url(name):
            if source not in ("folder", "list"):
                raise ConfigError(
                    f"source {source} reads a local tree, not {name}. Copy it, or write a list."
                )
            yield from stored.songs(name)
        elif source == "list" or (source == "folder" and is_list(name)):
            yield from listing.songs(Path(name))
        elif source == "folder":
            yield from folder.songs([Path(name)])
        elif source == "fma":
            yield from fma.songs(Path(name))
        elif source == "gtzan":
            yield from gtzan.songs(Path(name))
        else:
            yield from jamendo.songs(Path(name), Path(config.table) if config.table else None)


NEEDS = {
    "folder": "files, folders or lists",
    "list": "lists (.csv, .tsv, .parquet)",
    "fma": "the folder of the unpacked archive",
    "jamendo": "the folder of the unpacked archive",
    "gtzan": "the folder of the unpacked archive",
    "debian": "names of packages",
}


def is_list(name: str) -> bool:
    """Return whether a name is that of a list, not of a song or folder."""
    return Path(name).suffix.lower() in listing.LIST_EXTENSIONS and not Path(name).is_dir()


def songs_dir(config: PrepareSettings) -> Path:
    """Return the folder for songs that a source brings itself."""
    if is_url(config.out) and not config.songs_dir:
        raise ConfigError(f"out {config.out} is a URL; name a folder for the songs with --songs_dir.")
    return Path(config.songs_dir or f"{config.out.rstrip('/')}-songs")


def report(summary: Summary, out: str) -> None:
    """Print what was done: the result on stdout, what was left out on stderr."""
    rejects = f"{out.rstrip('/')}/rejects.parquet"
    if summary.rejected:
        table = Table("left out because", "songs")
        for kind, songs in summary.rejected.items():
            table.add_row(kind, str(songs))
        console = Console(stderr=True)
        console.print(table)
        console.print(f"{rejects} names each and says why.", soft_wrap=True)
    if not summary.kept:
        Console(stderr=True).print(
            f"audiomae prepare: none of {summary.songs} songs could be prepared; "
            f"{rejects} says why. Name other songs.",
            soft_wrap=True,
        )
        return
    print(
        f"{out.rstrip('/')}: {summary.tracks} tracks, {summary.hours:.2f} h "
        f"({summary.added} new, {summary.known} known, {sum(summary.rejected.values())} left out, "
        f"{summary.duplicates} duplicate{'s' * (summary.duplicates != 1)}; "
        f"{summary.decoded_seconds / summary.wall_seconds:.0f}× real time; "
        f"fingerprint {summary.fingerprint})"
    )
