"""model + corpus or files → vectors in Parquet: one a clip, and one a track."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch

from audiomae.data.corpus import Corpus
from audiomae.data.files import fingerprint_of, locked
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.model.corpus_vectors import Precision
from audiomae.model.embedder import Embedder, load
from audiomae.model.pooling import Pool
from audiomae.model.whitening import WhitenKind
from audiomae.verbs.vectors_job import VectorsJob
from data_prep.folder import songs as folder_songs
from data_prep.pipeline import prepare_corpus
from data_prep.worker import Limits

__all__ = ["ExportConfig", "export"]


HIDDEN_CORPUS = ".corpus-"
SHORTEST_SECONDS = 0.2
"""Shortest audio file that gets a vector, in seconds."""


@dataclass(frozen=True)
class ExportConfig:
    """Settings of `audiomae export`.

    Attributes:
        inputs: Run folder of a model, then one corpus folder, or audio files and folders.
        out: Vectors folder to write; the same command goes on with what lies there.
        layer: Encoder block to read vectors from, 1 for the first; what the model recommends by default.
        pool: How the tokens of a clip become one vector; what the model recommends by default.
        whiten: Dimensions of a whitening, fitted on these clips and stored with the model; 0 for none.
        whiten_kind: What the whitening evens out: within, how clips of one track differ, or pca, how all do.
        whitening: Whitening to use again: a file, or `model` for the one stored with the model.
        hop_seconds: Distance between the starts of neighbouring clips, in seconds.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass, fp32 or bf16.
        device: Where to compute, such as cpu or cuda:1; auto takes a GPU if there is one.
        threads: CPU threads; 0 for all cores.
        part_clips: Clips in a Parquet part, at least; an interrupted export goes on after its last part.
        overwrite: Whether to drop vectors of other settings that lie in the folder.
    """

    inputs: tuple[str, ...] = ()
    out: str = "vectors"
    layer: int | None = None
    pool: Pool | None = None
    whiten: int = 0
    whiten_kind: WhitenKind = "within"
    whitening: str | None = None
    hop_seconds: float = 5.0
    batch: int = 64
    precision: Precision = "fp32"
    device: str = "auto"
    threads: int = 0
    part_clips: int = 2048
    overwrite: bool = False

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
        if not 0.01 <= self.hop_seconds <= 3600:
            raise ConfigError(f"hop_seconds is {self.hop_seconds}; it must be from 0.01 to 3600 seconds.")
        if self.whiten and self.whitening:
            raise ConfigError(
                "--whiten fits a new whitening and --whitening uses an old one; give one of the two."
            )


def export(config: ExportConfig) -> int:
    """Write the vectors folder.

    Raises:
        MissingError: If an input is not there or cut short.
        FingerprintError: If the corpus has other mel settings than the model, or the folder other vectors.
        StorageError: If the disk refuses; the same command goes on from there.
    """
    embedder = load(config.inputs[0]).with_pooling(layer=config.layer, pool=config.pool)
    if config.threads:
        torch.set_num_threads(config.threads)
    embedder.to(_pick_device(config.device))
    out = Path(config.out)
    with locked(out):
        corpus = _open_corpus(config, embedder, out)
        job = VectorsJob(
            embedder,
            corpus,
            out,
            Path(config.inputs[0]),
            whiten=config.whiten,
            whiten_kind=config.whiten_kind,
            whitening=config.whitening,
            hop_seconds=config.hop_seconds,
            batch=config.batch,
            precision=config.precision,
            part_clips=config.part_clips,
            overwrite=config.overwrite,
        )
        done = job.run()
        for hidden in out.glob(f"{HIDDEN_CORPUS}*"):
            shutil.rmtree(hidden, ignore_errors=True)
    print(json.dumps({"vectors": str(out), **{name: done[name] for name in ("tracks", "clips", "dim")}}))
    return 0


def _pick_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}). Use cpu."
        ) from None
    return device


def _open_corpus(config: ExportConfig, embedder: Embedder, out: Path) -> Corpus:
    """Open the corpus that was named, or prepare the songs that were."""
    sources = [Path(name) for name in config.inputs[1:]]
    corpora = [path for path in sources if (path / "corpus.json").exists()]
    if corpora and len(sources) > 1:
        raise ConfigError(
            f"{corpora[0]} is a corpus; export it alone, or prepare one corpus of all the songs."
        )
    if absent := [path for path in sources if not path.exists()]:
        raise MissingError(f"{absent[0]}: no such file or folder.")
    corpus = Corpus.open(corpora[0]) if corpora else _prepare(sources, embedder, out, config.threads)
    if corpus.mel != embedder.mel:
        theirs, ours = vars(corpus.mel), vars(embedder.mel)
        name = next(name for name in ours if ours[name] != theirs[name])
        raise FingerprintError(
            f"{corpus.folder}: mel.{name} is {theirs[name]}, but the model was trained with {ours[name]}. "
            "Prepare the songs again with the model's mel settings."
        )
    if not len(corpus):
        raise DataError(f"{corpus.folder}: holds no track. Prepare some songs first.")
    return corpus


def _prepare(sources: list[Path], embedder: Embedder, out: Path, workers: int) -> Corpus:
    """Prepare songs into a hidden folder of the vectors folder, which goes when the export is done."""
    songs = list(folder_songs(sources))
    key = fingerprint_of([str(song.path.absolute()) for song in songs])
    place = out / f"{HIDDEN_CORPUS}{key}"
    for old in out.glob(f"{HIDDEN_CORPUS}*"):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)
    summary = prepare_corpus(
        songs, place, mel=embedder.mel, workers=workers, limits=Limits(shortest_seconds=SHORTEST_SECONDS)
    )
    rejects = pq.read_table(place / "rejects.parquet").to_pylist()
    for row in rejects:
        print(f"left out {row['path']}: {row['reason']}", file=sys.stderr)
    if not summary.tracks:
        raise DataError(
            f"{sources[0]}: none of {len(songs)} songs can be used; the first: {rejects[0]['reason']}."
        )
    return Corpus.open(place)
