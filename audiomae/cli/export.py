"""model + corpus or files → vectors in Parquet: one a clip, and one a track."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import torch

from audiomae.checks import require
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
from audiomae.vectors.embed import EmbedParts, Precision, embed_parts
from audiomae.vectors.job import VectorsJob
from data_prep.songs.folder import songs as folder_songs
from data_prep.songs.store import songs as stored_songs

__all__ = ["ExportSettings", "export"]


HIDDEN_CORPUS = ".corpus-"
SHORTEST_SECONDS = 0.2
"""Shortest audio file that gets a vector, in seconds."""


@dataclass(frozen=True)
class ExportSettings:
    """Settings of `audiomae export`.

    Attributes:
        inputs: Run folder of a model, or the name of one in the package (tiny), then one corpus folder, or audio
            files and folders; those after the model may be URLs (s3://, gs://, ... as fsspec reads them).
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

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if len(self.inputs) < 2:
            raise ConfigError(
                "export takes a model and a corpus or audio: audiomae export run/ corpus/ --out vectors/"
            )
        for name in ("batch", "part_clips"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("whiten", "threads"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
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


def export(config: ExportSettings) -> int:
    """Write the vectors folder.

    Raises:
        MissingError: If an input is not there or cut short.
        FingerprintError: If the corpus has other mel settings than the model, or the folder other vectors.
        StorageError: If the disk refuses; the same command goes on from there.
    """
    if config.engine == "ray":
        load_ray()
    local = config.engine == "local"
    if local and config.threads:
        torch.set_num_threads(config.threads)
    embedder = load(config.inputs[0], device=config.device if local else "cpu")
    embedder = embedder.with_pooling(layer=config.layer, pool=config.pool)
    with staged(config.out, "vectors.json", config.staging) as out, locked(out):
        corpus = _open_corpus(config, embedder, out)
        job = VectorsJob(
            embedder,
            corpus,
            out,
            model_folder(config.inputs[0]),
            whiten=config.whiten,
            whiten_kind=config.whiten_kind,
            whitening=config.whitening,
            hop_seconds=config.hop_seconds,
            batch=config.batch,
            precision=config.precision,
            part_clips=config.part_clips,
            overwrite=config.overwrite,
            engine=_engine(config),
        )
        done = job.run()
        for hidden in out.glob(f"{HIDDEN_CORPUS}*"):
            shutil.rmtree(hidden, ignore_errors=True)
    print(json.dumps({"vectors": config.out, **{name: done[name] for name in ("tracks", "clips", "dim")}}))
    return 0


def _engine(config: ExportSettings) -> EmbedParts:
    """Return what embeds."""
    if config.engine == "local":
        return embed_parts
    return partial(
        embed_on_ray, address=config.ray_address, threads=config.threads or 1, device=config.device
    )


def _open_corpus(config: ExportSettings, embedder: Embedder, out: Path) -> Corpus:
    """Open the corpus that was named, or prepare the songs that were."""
    sources = [Path(name) if not is_url(name) else name.rstrip("/") for name in config.inputs[1:]]
    corpora = [path for path in sources if _is_corpus(path)]
    if corpora and len(sources) > 1:
        raise ConfigError(
            f"{corpora[0]} is a corpus; export it alone, or prepare one corpus of all the songs."
        )
    if absent := [path for path in sources if isinstance(path, Path) and not path.exists()]:
        raise MissingError(f"{absent[0]}: no such file or folder.")
    corpus = open_corpus(corpora[0]) if corpora else _prepare(sources, embedder, out, config)
    if corpus.mel != embedder.mel:
        theirs, ours = vars(corpus.mel), vars(embedder.mel)
        name = next(name for name in ours if ours[name] != theirs[name])
        raise FingerprintError(
            f"{corpora[0] if corpora else corpus.folder}: mel.{name} is {theirs[name]}, but the model was "
            f"trained with {ours[name]}. "
            "Prepare the songs again with the model's mel settings."
        )
    if not len(corpus):
        raise DataError(f"{corpus.folder}: holds no track. Prepare some songs first.")
    return corpus


def _is_corpus(place: Path | str) -> bool:
    """Return whether a folder or URL holds a corpus."""
    if isinstance(place, Path):
        return (place / "corpus.json").exists()
    return stamp_url(f"{place}/corpus.json")[0] >= 0


def _prepare(sources: list[Path | str], embedder: Embedder, out: Path, config: ExportSettings) -> Corpus:
    """Prepare songs into a hidden folder of the vectors folder, which goes when the export is done."""
    songs = [
        song
        for source in sources
        for song in (folder_songs([source]) if isinstance(source, Path) else stored_songs(source))
    ]
    key = fingerprint_of([song.url or str(song.path.absolute()) for song in songs])
    place = out / f"{HIDDEN_CORPUS}{key}"
    for old in out.glob(f"{HIDDEN_CORPUS}*"):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)
    ray = config.engine == "ray"
    summary = prepare_corpus(
        songs,
        place,
        mel=embedder.mel,
        workers=0 if ray else config.threads,
        limits=Limits(shortest_seconds=SHORTEST_SECONDS),
        engine=partial(prepare_on_ray, address=config.ray_address) if ray else None,
    )
    rejects = pq.read_table(place / "rejects.parquet").to_pylist()
    for row in rejects:
        print(f"left out {row['path']}: {row['reason']}", file=sys.stderr)
    if not summary.tracks:
        raise DataError(
            f"{sources[0]}: none of {len(songs)} songs can be used; the first: {rejects[0]['reason']}."
        )
    return Corpus.open(place)
