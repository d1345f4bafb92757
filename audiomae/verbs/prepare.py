"""songs → corpus: decoded, resampled, turned into log-mels, with their tags."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from audiomae.audio.mel import MelSettings
from audiomae.checks import require
from audiomae.cluster.songs import prepare_on_ray
from audiomae.cluster.stream import load_ray
from audiomae.corpus.build import PrepareResult, prepare_corpus
from audiomae.corpus.worker import Limits
from audiomae.disk.stores import is_url, staged
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from data_prep.songs.sources import Asked, check_source, find_songs

__all__ = ["PrepareResult", "PrepareSettings", "prepare"]


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
        most_hours: Longest song that is kept, in hours.
        song_minutes: Time that one song may take, in minutes; it is tried again at the next run.
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
    source: str = "folder"
    mel: MelSettings = field(default_factory=MelSettings)
    workers: int = 0
    shortest_seconds: float = 5.0
    quietest_dbfs: float = -80.0
    most_hours: float = 12.0
    song_minutes: float = 60.0
    shard_megabytes: float = 32.0
    table: str = ""
    songs_dir: str = ""
    count: int = 200
    seed: int = 0
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    staging: str = ""

    def __post_init__(self) -> None:
        """Refuse a source that there is not, and numbers out of range."""
        check_source(self.source)
        require("workers", self.workers, least=0)


def prepare(settings: PrepareSettings, *, progress: Progress = SILENT) -> PrepareResult:
    """Prepare the songs; those that cannot be used are counted, and named in `rejects.parquet`.

    Raises:
        AudiomaeError: If songs cannot be found, or the corpus not be written.
    """
    limits = Limits(
        settings.shortest_seconds, settings.quietest_dbfs, settings.most_hours, settings.song_minutes
    )
    engine = partial(prepare_on_ray, address=settings.ray_address) if settings.engine == "ray" else None
    if engine:
        load_ray()
    asked = Asked(
        names=settings.songs,
        songs_dir=_songs_dir(settings),
        table=settings.table,
        count=settings.count,
        seed=settings.seed,
        progress=progress,
    )
    with staged(settings.out, "corpus.json", settings.staging) as folder:
        done = prepare_corpus(
            list(find_songs(settings.source, asked)),
            folder,
            mel=settings.mel,
            workers=settings.workers,
            limits=limits,
            shard_megabytes=settings.shard_megabytes,
            engine=engine,
            progress=progress,
        )
    return replace(done, corpus=settings.out.rstrip("/") or "/")


def _songs_dir(settings: PrepareSettings) -> str:
    """Return the folder for songs that a source brings itself."""
    if settings.songs_dir:
        return settings.songs_dir
    if not is_url(settings.out):
        return f"{settings.out.rstrip('/')}-songs"
    if settings.source in ("debian", "generated"):
        raise ConfigError(f"out {settings.out} is a URL; name a folder for the songs with --songs_dir.")
    return ""
