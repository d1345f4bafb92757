"""What `export` does once model and corpus are open: embed, fit and apply a whitening, finish.

Each step goes on after a kill. Where a whitening must be fitted, the vectors first go to a hidden folder as
they are, so that the model reads every clip once.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiomae.corpus.corpus import Corpus
from audiomae.corpus.measured import MEASURED
from audiomae.disk.files import read_json
from audiomae.errors import FingerprintError, MissingError
from audiomae.model.embedder import Embedder
from audiomae.model.whitening import Whitening, WhitenKind
from audiomae.progress import SILENT, Progress
from audiomae.vectors.embed import (
    EmbedParts,
    Precision,
    count_clips,
    embed_parts,
    plan_parts,
    whiten_tracks,
)
from audiomae.vectors.parts import FORMAT, SETTINGS, TEXTS, part_path, read_part
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.whitenings import Whitenings
from audiomae.vectors.writer import TrackClips, VectorsWriter, split_tracks

__all__ = ["VectorsJob"]

log = logging.getLogger(__name__)

ABOUT = ("model_fingerprint", "corpus_fingerprint", "layer", "pool", "hop_seconds", "precision")
"""Settings that a whitening carries with it."""


class VectorsJob:
    """One export.

    Args:
        embedder: Model with its layer and pooling.
        corpus: Tracks to embed.
        out: Vectors folder, held by this process.
        model_folder: Where the model lies, for its whitenings; nothing is written to that of one in the package.
        whiten: Dimensions of a whitening to fit; 0 for none.
        whiten_kind: What it evens out.
        whitening: File of one to use again, or `model`.
        hop_seconds: Distance between the starts of neighbouring clips; None for one clip.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass.
        part_clips: Clips in a part, at least.
        overwrite: Whether to drop what lies in the folder.
        engine: What embeds the parts: this process, or the nodes of a cluster.
        progress: Told how many clips are embedded.

    Attributes:
        found_complete: Whether `run` found the folder complete, and did nothing.
    """

    def __init__(
        self,
        embedder: Embedder,
        corpus: Corpus,
        out: Path,
        model_folder: Path,
        *,
        whiten: int,
        whiten_kind: WhitenKind,
        whitening: str | None,
        hop_seconds: float | None,
        batch: int,
        precision: Precision,
        part_clips: int,
        overwrite: bool,
        engine: EmbedParts = embed_parts,
        progress: Progress = SILENT,
    ) -> None:
        self.embedder, self.corpus, self.out = embedder, corpus, out
        self.whiten, self.batch, self.precision = whiten, batch, precision
        self.part_clips, self.overwrite, self.engine, self.progress = part_clips, overwrite, engine, progress
        mel = corpus.mel
        self.hop_frames = max(1, mel.frames_of(hop_seconds or embedder.hop_seconds))
        self.clips = count_clips(corpus.frames, embedder.config.clip_frames, self.hop_frames)
        self.settings: dict[str, Any] = {
            "model_fingerprint": embedder.fingerprint,
            "corpus_fingerprint": corpus.fingerprint,
            "layer": embedder.layer,
            "pool": embedder.pool,
            "hop_seconds": mel.seconds_of(self.hop_frames),
            "precision": precision,
            "whiten": whiten,
            "whitening_fingerprint": "",
            "whiten_kind": whiten_kind if whiten else "",
            "clip_seconds": embedder.clip_seconds,
        }
        self.found_complete = False
        self.whiten_kind = whiten_kind
        self.whitenings = Whitenings({name: str(self.settings[name]) for name in ABOUT}, out, model_folder)
        self.whitening: Whitening | None = None
        if whitening:
            self.whitening = self._use(self.whitenings.read(whitening))
            about = self.whitening.about
            self.settings |= {"whiten": self.whitening.dims, "whiten_kind": about.get("kind", "")}
        elif whiten and (fitted := self.whitenings.find(whiten_kind, whiten)):
            self.whitening = self._use(fitted)

    def run(self) -> dict[str, Any]:
        """Do what is left to do, and return what `vectors.json` says."""
        raw_folder = self.out / ".raw"
        if self.overwrite:
            shutil.rmtree(raw_folder, ignore_errors=True)
        elif (meta := self._finished()) is not None:
            self.found_complete = True
            shutil.rmtree(raw_folder, ignore_errors=True)
            return meta
        staged = None
        if self.whiten and (self.whitening is None or raw_folder.exists()):
            staged = VectorsWriter(
                raw_folder, {**self.settings, "whitening_fingerprint": ""}, self.embedder.dim
            )
            self._write(staged, self._embedded(staged))
            self.whitening = self.whitening or self.whitenings.fit(self.whiten_kind, self.whiten, staged)
        if self.whitening is not None:
            self._use(self.whitening)
            if self.whiten:
                self.whitenings.keep(self.whitening, self.whiten_kind, self.whiten)
        dim = self.embedder.dim if self.whitening is None else self.whitening.dims
        writer = VectorsWriter(self.out, self.settings, dim, overwrite=self.overwrite)
        if self.whitening is not None:
            self.whitening.save(self.out / "whitening.safetensors")
        else:
            (self.out / "whitening.safetensors").unlink(missing_ok=True)
        self._write(writer, self._embedded(writer) if staged is None else self._staged(staged, writer))
        rows = self.corpus.tracks.select(["track_id", *TEXTS, "seconds", *MEASURED]).to_pylist()
        meta = writer.finish({row["track_id"]: row for row in rows})
        shutil.rmtree(raw_folder, ignore_errors=True)
        return meta

    def _finished(self) -> dict[str, Any] | None:
        """Return what a complete folder says; refuse one of other settings; let a damaged one be repaired."""
        if not (self.out / "vectors.json").exists():
            return None
        meta = read_json(self.out / "vectors.json", format=FORMAT)
        open_question = {"whitening_fingerprint"} if self.whitening is None else set()
        for name in (*SETTINGS, "whiten_kind"):
            if name in meta and name not in open_question and meta[name] != self.settings[name]:
                raise FingerprintError(
                    f"{self.out}: holds vectors with {name} {meta.get(name)!r}, not {self.settings[name]!r}. "
                    "Name another --out, or start afresh with --overwrite."
                )
        try:
            return Vectors.open(self.out).meta
        except MissingError as error:
            log.warning("%s Repairing it now.", error)
            (self.out / "vectors.json").unlink()
            return None

    def _embedded(self, writer: VectorsWriter) -> Iterator[list[TrackClips]]:
        """Embed, part by part, the tracks that `writer` does not hold yet."""
        first = len(writer.done)
        left = plan_parts(self.clips[first:], self.part_clips)
        total = int(self.clips.sum())
        with self.progress.stage("embedding", total=total, unit="clips", done=writer.clips) as stage:
            yield from self.engine(
                self.embedder,
                self.corpus,
                [range(first + part.start, first + part.stop) for part in left],
                hop_frames=self.hop_frames,
                batch=self.batch,
                precision=self.precision,
                on_clips=stage.advance,
            )

    def _staged(self, staged: VectorsWriter, writer: VectorsWriter) -> Iterator[list[TrackClips]]:
        """Read, part by part, the tracks that `writer` does not hold yet."""
        skip = len(writer.done)
        for number in range(staged.parts):
            tracks = list(split_tracks(read_part(part_path(staged.folder, number), staged.fingerprint)))
            if left := tracks[skip:]:
                yield left
            skip = max(0, skip - len(tracks))

    def _write(self, writer: VectorsWriter, parts: Iterator[list[TrackClips]]) -> None:
        whitening = self.whitening if writer.folder == self.out else None
        for tracks in parts:
            writer.add_part(whiten_tracks(tracks, whitening))

    def _use(self, whitening: Whitening) -> Whitening:
        self.settings["whitening_fingerprint"] = whitening.fingerprint
        return whitening
