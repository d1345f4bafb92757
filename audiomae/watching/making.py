"""From a few songs to vectors as a folder's own were made; no log-mel outlives the batch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.measured import MEASURED
from audiomae.corpus.song import Song
from audiomae.corpus.worker import Limits
from audiomae.model.embedder import Embedder
from audiomae.model.whitening import Whitening
from audiomae.progress import SILENT, Progress
from audiomae.vectors.embed import Precision, count_clips, embed_tracks, whiten_tracks
from audiomae.vectors.parts import TEXTS
from audiomae.vectors.writer import TrackClips
from audiomae.watching.folder import Row
from audiomae.watching.known import Stamp

__all__ = ["Maker", "Prepared"]

HIDDEN_CORPUS = ".corpus-"


class Prepared(NamedTuple):
    """What became of one song."""

    path: str
    stamp: Stamp
    """The file as it was prepared."""
    content: str
    """Hash of what it sounds like; empty for a song that is left out."""
    reason: str
    """Why it is left out; empty for one that is kept."""
    track: int
    """Its number in the corpus of the batch; -1 for one that is left out, or has the content of another."""
    row: Row
    """What is known of it."""


class Batch:
    """Songs that are prepared, and can be embedded."""

    def __init__(self, maker: Maker, corpus: Corpus) -> None:
        self.maker, self.corpus = maker, corpus
        columns = ("track_id", *TEXTS, "seconds", *MEASURED, "content", "bytes", "modified_ns")
        about = ("content", "bytes", "modified_ns")
        self.songs = [
            Prepared(
                row["path"],
                Stamp(row["bytes"], row["modified_ns"]),
                row["content"],
                "",
                number,
                {name: value for name, value in row.items() if name not in about},
            )
            for number, row in enumerate(corpus.tracks.select(columns).to_pylist())
        ]
        self.songs += [
            Prepared(
                row["path"], Stamp(row["bytes"], row["modified_ns"]), row["content"], row["reason"], -1, {}
            )
            for row in corpus.rejects().to_pylist()
        ]

    def embed(self, tracks: Sequence[int], progress: Progress) -> dict[int, TrackClips]:
        """Return the clips of some tracks of the batch, by their numbers, whitened as the folder's own are."""
        maker, found = self.maker, dict[int, TrackClips]()
        clips = count_clips(self.corpus.frames, maker.embedder.config.clip_frames, maker.hop_frames)
        with progress.stage("embedding", total=int(clips[list(tracks)].sum()), unit="clips") as stage:
            for chosen in runs_of(tracks):
                made = embed_tracks(
                    maker.embedder,
                    self.corpus,
                    chosen,
                    hop_frames=maker.hop_frames,
                    batch=maker.batch,
                    precision=maker.precision,
                    on_clips=stage.advance,
                )
                found |= zip(chosen, whiten_tracks(made, maker.whitening), strict=True)
        return found


@dataclass(frozen=True)
class Maker:
    """How songs become vectors.

    Attributes:
        embedder: Model with its layer and pooling.
        whitening: What their clips go through; None for nothing.
        hop_frames: Distance between the starts of neighbouring clips.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass.
        workers: Processes that prepare songs; 0 for one a core.
        limits: What a song must reach.
        out: Vectors folder; what is prepared lies hidden there for the time of a batch.
    """

    embedder: Embedder
    whitening: Whitening | None
    hop_frames: int
    batch: int
    precision: Precision
    workers: int
    limits: Limits
    out: Path

    @contextmanager
    def prepare(self, paths: Sequence[str], progress: Progress = SILENT) -> Iterator[Batch]:
        """Prepare some songs; what lies on the disk of them goes with the block."""
        place = self.out / f"{HIDDEN_CORPUS}watch"
        self.clear()
        try:
            prepare_corpus(
                [Song(Path(path)) for path in paths],
                place,
                mel=self.embedder.mel,
                workers=self.workers,
                limits=self.limits,
                progress=progress,
            )
            yield Batch(self, Corpus.open(place))
        finally:
            self.clear()

    def clear(self) -> None:
        """Remove what batches, also of a killed run, have left."""
        for place in self.out.glob(f"{HIDDEN_CORPUS}*"):
            shutil.rmtree(place, ignore_errors=True)


def runs_of(numbers: Sequence[int]) -> Iterator[range]:
    """Yield rising numbers as ranges.

    Example:
        >>> list(runs_of([0, 1, 4]))
        [range(0, 2), range(4, 5)]
    """
    first = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield range(numbers[first], numbers[place - 1] + 1)
            first = place
