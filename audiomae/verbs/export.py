"""model + corpus or files → vectors in Parquet: one a clip, and one a track."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from audiomae.atlas.embedding_atlas import write_atlas
from audiomae.checks import require, require_all
from audiomae.cluster.songs import prepare_on_ray
from audiomae.cluster.stream import load_ray
from audiomae.cluster.vectors import embed_on_ray
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.remote import open_corpus
from audiomae.corpus.worker import Limits
from audiomae.disk.files import fingerprint_of, locked
from audiomae.disk.stores import is_url, staged, stamp_url
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.model.embedder import Embedder, load
from audiomae.model.pooling import Pool
from audiomae.model.released import model_folder
from audiomae.model.whitening import WhitenKind
from audiomae.progress import SILENT, Progress
from audiomae.vectors.embed import SHORTEST_SECONDS, EmbedParts, Precision, embed_parts
from audiomae.vectors.job import VectorsJob
from audiomae.vectors.parts import refuse_watched
from audiomae.vectors.vectors import Vectors
from data_prep.songs.sources import Asked, find_songs

__all__ = ["ExportResult", "ExportSettings", "LeftOut", "export"]

log = logging.getLogger(__name__)

HIDDEN_CORPUS = ".corpus-"
ATLAS_FILE = "atlas.parquet"


@dataclass(frozen=True)
class ExportSettings:
    """Settings of `audiomae export`.

    Attributes:
        inputs: Run folder of a model, or the name of one in the package (tiny), then one corpus folder, or audio
            files, folders and lists; those after the model may be URLs (s3://, gs://, ... as fsspec reads them).
        out: Vectors folder to write, or URL; the same command goes on with what lies there.
        layer: Encoder block to read vectors from, 1 for the first; what the model recommends by default.
        pool: How the tokens of a clip become one vector; what the model recommends by default.
        whiten: Dimensions of a whitening, fitted on these clips and stored with them, and with a model of your own;
            0 for none.
        whiten_kind: What the whitening evens out: within, how clips of one track differ; soft, half of that, which
            costs classifiers less and takes more dimensions; or pca, how all clips differ.
        whitening: Whitening to use again: a file, or `model` for the one stored with the model.
        hop_seconds: Distance between the starts of neighbouring clips, in seconds; one clip of the model by default,
            up to the next tenth of a second.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass, fp32 or bf16.
        device: Where to compute, such as cpu or cuda:1; auto takes a GPU if there is one. With engine ray, one
            of auto, cpu and cuda, for every worker.
        threads: CPU threads; 0 for all cores. With engine ray, those of every worker; 0 for one.
        part_clips: Clips in a Parquet part, at least; an interrupted export goes on after its last part.
        overwrite: Whether to drop vectors of other settings that lie in the folder.
        engine: What computes: local, this process; ray, the GPUs or CPUs of a Ray cluster (uv sync --extra
            ray), with the same result where they compute alike. Its nodes must have audiomae installed, and
            see the corpus at the same path, unless a URL names it.
        ray_address: For engine ray, auto or host:port of a cluster that this machine belongs to; none for
            RAY_ADDRESS, or else a cluster of this machine alone.
        staging: For an out that is a URL, the local folder in which the vectors are made; empty for one in
            the cache. Keep it to go on after a kill; vectors.json is copied last.
        format: What else is written: vectors, nothing more; atlas, also atlas.parquet, which Embedding Atlas opens.
    """

    inputs: tuple[str, ...] = ()
    out: str = "vectors"
    layer: int | None = None
    pool: Pool | None = None
    whiten: int = 0
    whiten_kind: WhitenKind = "within"
    whitening: str | None = None
    hop_seconds: float | None = None
    batch: int = 64
    precision: Precision = "fp32"
    device: str = "auto"
    threads: int = 0
    part_clips: int = 2048
    overwrite: bool = False
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    staging: str = ""
    format: Literal["vectors", "atlas"] = "vectors"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if len(self.inputs) < 2:
            raise ConfigError(
                "export takes a model and a corpus or audio: audiomae export run/ corpus/ --out vectors/"
            )
        require_all(self, "batch", "part_clips", least=1)
        require_all(self, "whiten", "threads", least=0)
        if self.hop_seconds is not None:
            require("hop_seconds", self.hop_seconds, least=0.01, most=3600, unit="seconds")
        if self.engine == "ray" and self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"device {self.device!r} is one machine's; with --engine ray use auto, cpu or cuda."
            )
        if self.whiten and self.whitening:
            raise ConfigError(
                "--whiten fits a new whitening and --whitening uses an old one; give one of the two."
            )


@dataclass(frozen=True)
class LeftOut:
    """A song without a vector.

    Attributes:
        path: Where it lies.
        reason: Why it could not be used.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class ExportResult:
    """What `export` made, or found made.

    Attributes:
        vectors: The vectors folder, or its URL.
        tracks: Tracks in it.
        clips: Clips in it.
        dim: Entries of a vector.
        layer: Encoder block that the vectors were read from.
        pool: How the tokens of a clip became one vector.
        whiten: Dimensions of the whitening; 0 for none.
        hop_seconds: Distance between the starts of neighbouring clips, in seconds.
        model_fingerprint: Fingerprint of the model.
        corpus_fingerprint: Fingerprint of the corpus.
        fingerprint: Fingerprint of the vectors.
        found_complete: Whether all of it was there already, so that there was nothing to do.
        left_out: Audio files that were named and could not be used.
        atlas: File for Embedding Atlas, where one was asked for.
    """

    vectors: str
    tracks: int
    clips: int
    dim: int
    layer: int
    pool: str
    whiten: int
    hop_seconds: float
    model_fingerprint: str
    corpus_fingerprint: str
    fingerprint: str
    found_complete: bool
    left_out: list[LeftOut]
    atlas: str | None = None


def export(settings: ExportSettings, *, progress: Progress = SILENT) -> ExportResult:
    """Write the vectors folder, or go on with what an interrupted export left there.

    Raises:
        MissingError: If an input is not there or cut short.
        FingerprintError: If the corpus has other mel settings than the model, or the folder other vectors.
        StorageError: If the disk refuses; the same command goes on from there.
    """
    if settings.engine == "ray":
        load_ray()
    local = settings.engine == "local"
    if local and settings.threads:
        torch.set_num_threads(settings.threads)
    embedder = load(settings.inputs[0], device=settings.device if local else "cpu")
    embedder = embedder.with_pooling(layer=settings.layer, pool=settings.pool)
    with staged(settings.out, "vectors.json", settings.staging) as out, locked(out):
        if not settings.overwrite:
            refuse_watched(out)
        corpus, left_out = _open_corpus(settings, embedder, out, progress)
        job = VectorsJob(
            embedder,
            corpus,
            out,
            model_folder(settings.inputs[0]),
            whiten=settings.whiten,
            whiten_kind=settings.whiten_kind,
            whitening=settings.whitening,
            hop_seconds=settings.hop_seconds,
            batch=settings.batch,
            precision=settings.precision,
            part_clips=settings.part_clips,
            overwrite=settings.overwrite,
            engine=_engine(settings),
            progress=progress,
        )
        done = job.run()
        for hidden in out.glob(f"{HIDDEN_CORPUS}*"):
            shutil.rmtree(hidden, ignore_errors=True)
        if settings.format == "atlas":
            write_atlas(Vectors.open(out), out / ATLAS_FILE)
    told = {name: done[name] for name in ExportResult.__dataclass_fields__ if name in done}
    atlas = f"{settings.out.rstrip('/')}/{ATLAS_FILE}" if settings.format == "atlas" else None
    return ExportResult(
        settings.out, **told, found_complete=job.found_complete, left_out=left_out, atlas=atlas
    )


def _engine(settings: ExportSettings) -> EmbedParts:
    """Return what embeds."""
    if settings.engine == "local":
        return embed_parts
    return partial(
        embed_on_ray, address=settings.ray_address, threads=settings.threads or 1, device=settings.device
    )


def _open_corpus(
    settings: ExportSettings, embedder: Embedder, out: Path, progress: Progress
) -> tuple[Corpus, list[LeftOut]]:
    """Open the corpus that was named, or prepare the songs that were; return what of them cannot be used, too."""
    names = settings.inputs[1:]
    corpora = [name for name in names if _is_corpus(name)]
    if corpora and len(names) > 1:
        raise ConfigError(
            f"{corpora[0]} is a corpus; export it alone, or prepare one corpus of all the songs."
        )
    if absent := [name for name in names if not is_url(name) and not Path(name).exists()]:
        raise MissingError(f"{absent[0]}: no such file or folder.")
    left_out: list[LeftOut] = []
    if corpora:
        corpus = open_corpus(corpora[0])
    else:
        corpus, left_out = _prepare(settings, embedder, out, progress)
    if corpus.mel != embedder.mel:
        theirs, ours = vars(corpus.mel), vars(embedder.mel)
        name = next(name for name in ours if ours[name] != theirs[name])
        raise FingerprintError(
            f"{corpora[0] if corpora else corpus.folder}: mel.{name} is {theirs[name]}, but the model was "
            f"trained with {ours[name]}. Prepare the songs again with the model's mel settings."
        )
    if not len(corpus):
        raise DataError(f"{corpus.folder}: holds no track. Prepare some songs first.")
    return corpus, left_out


def _is_corpus(name: str) -> bool:
    """Return whether a folder or URL holds a corpus."""
    if is_url(name):
        return stamp_url(f"{name.rstrip('/')}/corpus.json")[0] >= 0
    return (Path(name) / "corpus.json").exists()


def _prepare(
    settings: ExportSettings, embedder: Embedder, out: Path, progress: Progress
) -> tuple[Corpus, list[LeftOut]]:
    """Prepare songs into a hidden folder of the vectors folder, which goes when the export is done."""
    names = settings.inputs[1:]
    songs = list(find_songs("folder", Asked(names)))
    key = fingerprint_of([song.url or str(song.path.absolute()) for song in songs])
    place = out / f"{HIDDEN_CORPUS}{key}"
    for old in out.glob(f"{HIDDEN_CORPUS}*"):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)
    ray = settings.engine == "ray"
    done = prepare_corpus(
        songs,
        place,
        mel=embedder.mel,
        workers=0 if ray else settings.threads,
        limits=Limits(shortest_seconds=SHORTEST_SECONDS),
        engine=partial(prepare_on_ray, address=settings.ray_address) if ray else None,
        progress=progress,
    )
    corpus = Corpus.open(place)
    left_out = [LeftOut(row["path"], row["reason"]) for row in corpus.rejects().to_pylist()]
    for song in left_out:
        log.warning("left out %s: %s", song.path, song.reason)
    if not done.tracks:
        raise DataError(
            f"{names[0]}: none of {len(songs)} songs can be used; the first: {left_out[0].reason}."
        )
    return corpus, left_out
