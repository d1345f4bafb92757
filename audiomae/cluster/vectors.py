"""Parts of a corpus embedded on the nodes of a Ray cluster: each worker holds the model, and takes part after part.

A part is batched by itself, as on one machine, so which worker takes it does not show. The model travels
through Ray's object store; log-mels are read by the workers, from a folder that all nodes share or from a store.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from audiomae.cluster.stream import PIECE_BYTES, Piece, join_cluster, pieces_of, stream
from audiomae.corpus.clips import clip_starts
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.remote import StoredCorpus
from audiomae.errors import AudiomaeError, ConfigError
from audiomae.model.embedder import Embedder
from audiomae.vectors.embed import Precision, embed_tracks
from audiomae.vectors.writer import TrackClips

__all__ = ["embed_on_ray"]

MOST_RETRIES = 8
"""Workers that may die at a part before the export gives up."""


def embed_on_ray(
    embedder: Embedder,
    corpus: Corpus,
    parts: Sequence[range],
    *,
    hop_frames: int,
    batch: int,
    precision: Precision,
    on_clips: Callable[[int], None],
    address: str | None = None,
    threads: int = 1,
    device: str = "auto",
) -> Iterator[list[TrackClips]]:
    """Embed parts on a Ray cluster; otherwise as `audiomae.vectors.embed.embed_parts`.

    Args:
        embedder: Model, layer and pooling; its whitening is left out.
        corpus: In a folder that the nodes see at the same path, or in a store.
        parts: Runs of tracks.
        hop_frames: Distance between the starts of neighbouring clips.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass.
        on_clips: Called with the clips of each part when it has come.
        address: As for `audiomae.cluster.stream.join_cluster`.
        threads: CPUs of each worker, and its CPU threads.
        device: auto for a GPU a worker where the cluster has some, cuda, or cpu.

    Yields:
        The clips of each part, in order.

    Raises:
        ConfigError: If the cluster lacks what is asked for.
        AudiomaeError: If there is no cluster, or it is lost, or its nodes do not see the corpus.
    """
    if not parts:
        return
    if not isinstance(corpus, StoredCorpus):
        corpus = Corpus(corpus.folder.absolute(), corpus.meta, corpus.tracks)
    frames = embedder.config.clip_frames
    with join_cluster(address) as ray:
        gpus, workers = _count_workers(ray.cluster_resources(), device, threads)
        pieces = stream(
            ray,
            [[number, part.start, part.stop] for number, part in enumerate(parts)],
            PartEmbedder,
            per_task=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, min(workers, len(parts)))),
            num_cpus=threads,
            num_gpus=1 if gpus else None,
            max_task_retries=MOST_RETRIES,
            fn_constructor_kwargs={
                "embedder": ray.put(embedder.with_pooling(whiten=None).to("cpu")),
                "corpus": ray.put(corpus),
                "settings": (hop_frames, batch, precision, threads, "cuda" if gpus else "cpu"),
            },
        )
        with contextlib.closing(pieces):
            for number, vectors in _join(pieces):
                on_clips(len(vectors))
                yield _split(corpus, parts[number], vectors, frames, hop_frames)


def _count_workers(resources: Mapping[str, float], device: str, threads: int) -> tuple[int, int]:
    """Return the GPUs that will be used and the workers that the cluster has room for.

    Raises:
        ConfigError: If it lacks what is asked for.
    """
    gpus = int(resources.get("GPU", 0)) if device != "cpu" else 0
    if device == "cuda" and not gpus:
        raise ConfigError("device cuda: no node of the Ray cluster has a GPU. Use --device cpu.")
    if threads > resources.get("CPU", 0):
        raise ConfigError(
            f"threads {threads} is above the {resources.get('CPU', 0):g} CPUs of the Ray cluster; it "
            "must fit into one node. Use less."
        )
    return gpus, gpus or int(resources["CPU"] // threads)


def _join(pieces: Iterable[Piece]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the number of each part and the vectors that its pieces hold."""
    held = bytearray()
    for piece in pieces:
        held += piece.data
        if piece.header is None:
            continue
        vectors = np.frombuffer(bytes(held), np.float32).reshape(piece.header["clips"], -1)
        held.clear()
        yield piece.number, vectors


def _split(
    corpus: Corpus, part: range, vectors: NDArray[np.float32], frames: int, hop_frames: int
) -> list[TrackClips]:
    """Return the clips of a part by track."""
    tracks, row = [], 0
    for track in part:
        grid = clip_starts(int(corpus.frames[track]), frames, hop_frames)
        clips = vectors[row : row + len(grid)]
        tracks.append(TrackClips(corpus.track_ids[track], corpus.mel.seconds_of(grid), clips))
        row += len(grid)
    return tracks


class PartEmbedder:
    """A worker: holds the model, and turns parts into vectors.

    Args:
        embedder: Reference to the model.
        corpus: Reference to the corpus.
        settings: hop_frames, batch, precision, threads and device.
    """

    def __init__(self, embedder: Any, corpus: Any, settings: tuple[int, int, Precision, int, str]) -> None:
        import ray

        self.hop_frames, self.batch, self.precision, threads, device = settings
        torch.set_num_threads(threads)
        self.embedder: Embedder = ray.get(embedder).to(device)
        self.corpus: Corpus = ray.get(corpus)

    def __call__(self, batch: dict[str, Any]) -> Iterator[pa.Table]:
        """Embed the parts of a batch."""
        for text in batch["item"]:
            number, start, stop = json.loads(str(text))
            try:
                raw = self._embed(range(start, stop))
            except AudiomaeError as error:
                yield from pieces_of(number, iter(()), {"refused": str(error)})
                continue
            whole = raw.tobytes()
            pieces = (whole[first : first + PIECE_BYTES] for first in range(0, len(whole), PIECE_BYTES))
            yield from pieces_of(number, pieces, {"clips": len(raw)})

    def _embed(self, tracks: range) -> np.ndarray[Any, np.dtype[np.float32]]:
        if not isinstance(self.corpus, StoredCorpus) and not (self.corpus.folder / "corpus.json").exists():
            raise AudiomaeError(
                f"node {socket.gethostname()} does not see {self.corpus.folder}. Put the corpus in a folder that "
                "all nodes share, at the same path, or in a store, and name it by URL."
            )
        done = embed_tracks(
            self.embedder,
            self.corpus,
            tracks,
            hop_frames=self.hop_frames,
            batch=self.batch,
            precision=self.precision,
        )
        return np.concatenate([track.vectors for track in done])
