"""What `export` does once model and corpus are open: embed, fit and apply a whitening, finish.

Each step goes on after a kill. Where a whitening must be fitted, the vectors first go to a hidden folder as
they are, so that the model reads every clip once.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import read_json
from audiomae.errors import ConfigError, FingerprintError, MissingError, StorageError
from audiomae.model.embedder import Embedder
from audiomae.model.released import is_released
from audiomae.model.whitening import Whitening, WhitenKind
from audiomae.vectors.embed import (
    EmbedParts,
    Precision,
    count_clips,
    embed_parts,
    plan_parts,
    whiten_tracks,
)
from audiomae.vectors.vectors import FORMAT, SETTINGS, TAGS, Vectors, part_path, read_part, stack_vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter, split_tracks

__all__ = ["VectorsJob"]


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
    ) -> None:
        self.embedder, self.corpus, self.out, self.model_folder = embedder, corpus, out, model_folder
        self.whiten, self.batch, self.precision = whiten, batch, precision
        self.part_clips, self.overwrite, self.engine = part_clips, overwrite, engine
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
        self.about = {
            name: str(self.settings[name])
            for name in (
                "model_fingerprint",
                "corpus_fingerprint",
                "layer",
                "pool",
                "hop_seconds",
                "precision",
            )
        }
        self.whiten_kind = whiten_kind
        self.whitening = self._read_whitening(whitening) if whitening else self._fitted_whitening()

    def run(self) -> dict[str, Any]:
        """Do what is left to do, and return what `vectors.json` says."""
        raw_folder = self.out / ".raw"
        if self.overwrite:
            shutil.rmtree(raw_folder, ignore_errors=True)
        elif (meta := self._finished()) is not None:
            print(f"{self.out}: already complete, nothing to do.", file=sys.stderr)
            shutil.rmtree(raw_folder, ignore_errors=True)
            return meta
        staged = None
        if self.whiten and (self.whitening is None or raw_folder.exists()):
            staged = VectorsWriter(
                raw_folder, {**self.settings, "whitening_fingerprint": ""}, self.embedder.dim
            )
            self._write(staged, self._embedded(staged))
            self.whitening = self.whitening or self._fit(staged)
        self._keep_whitening()
        dim = self.embedder.dim if self.whitening is None else self.whitening.dims
        writer = VectorsWriter(self.out, self.settings, dim, overwrite=self.overwrite)
        if self.whitening is not None:
            self.whitening.save(self.out / "whitening.safetensors")
        else:
            (self.out / "whitening.safetensors").unlink(missing_ok=True)
        self._write(writer, self._embedded(writer) if staged is None else self._staged(staged, writer))
        rows = self.corpus.tracks.select(["track_id", *TAGS, "seconds"]).to_pylist()
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
            print(f"{error} Repairing it now.", file=sys.stderr)
            (self.out / "vectors.json").unlink()
            return None

    def _embedded(self, writer: VectorsWriter) -> Iterator[list[TrackClips]]:
        """Embed, part by part, the tracks that `writer` does not hold yet."""
        first = len(writer.done)
        left = plan_parts(self.clips[first:], self.part_clips)
        with self._progress() as progress:
            bar = progress.add_task("embedding", total=int(self.clips.sum()), completed=writer.clips)
            yield from self.engine(
                self.embedder,
                self.corpus,
                [range(first + part.start, first + part.stop) for part in left],
                hop_frames=self.hop_frames,
                batch=self.batch,
                precision=self.precision,
                on_clips=lambda clips: progress.advance(bar, clips),
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

    def _progress(self) -> Progress:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=Console(stderr=True))

    def _fit(self, staged: VectorsWriter) -> Whitening:
        parts = (
            read_part(part_path(staged.folder, number), staged.fingerprint) for number in range(staged.parts)
        )
        about = {**self.about, "kind": self.whiten_kind}
        if self.whiten_kind == "pca":
            return Whitening.fit((stack_vectors(part["vector"]) for part in parts), self.whiten, about)
        tracks = (track.vectors for part in parts for track in split_tracks(part))
        fit = Whitening.fit_within if self.whiten_kind == "within" else Whitening.fit_soft
        return fit(tracks, self.whiten, about)

    def _stored(self) -> Path:
        name = (
            f"layer{self.embedder.layer}-{self.embedder.pool}-{self.whiten_kind}{self.whiten}-"
            f"{self.corpus.fingerprint}"
        )
        return self.model_folder / "whitening" / f"{name}.safetensors"

    def _fitted_whitening(self) -> Whitening | None:
        """Return the whitening that this very export would fit, where an earlier run has fitted it."""
        if not self.whiten:
            return None
        for path in (self.out / "whitening.safetensors", self._stored()):
            try:
                found = Whitening.load(path)
            except MissingError:
                continue
            if found.about == {**self.about, "kind": self.whiten_kind} and found.dims == self.whiten:
                return self._use(found)
        return None

    def _read_whitening(self, name: str) -> Whitening:
        path = Path(name)
        if name == "model":
            folder = self.model_folder / "whitening"
            pattern = f"layer{self.embedder.layer}-{self.embedder.pool}-*.safetensors"
            known = sorted(folder.glob(pattern))
            if not known and is_released(self.model_folder):
                raise MissingError(
                    f"{folder.parent.name}: a model in the package keeps no whitening. Fit one with --whiten 128, and "
                    "name its file: --whitening vectors/whitening.safetensors."
                )
            if not known:
                raise MissingError(f"{folder}: no {pattern}. Fit one: audiomae export ... --whiten 128.")
            if len(known) > 1:
                raise ConfigError(
                    f"{folder}: {len(known)} whitenings fit; name one, such as --whitening {known[0]}."
                )
            path = known[0]
        whitening = Whitening.load(path)
        for key in ("model_fingerprint", "layer", "pool"):
            if whitening.about.get(key) != self.about[key]:
                raise FingerprintError(
                    f"{path}: was fitted with {key} {whitening.about.get(key)}, not {self.about[key]}. "
                    "Fit another with --whiten."
                )
        self.settings |= {"whiten": whitening.dims, "whiten_kind": whitening.about.get("kind", "")}
        return self._use(whitening)

    def _use(self, whitening: Whitening) -> Whitening:
        self.settings["whitening_fingerprint"] = whitening.fingerprint
        return whitening

    def _keep_whitening(self) -> None:
        """Store a fitted whitening with the model; a model that cannot be written to is no reason to stop."""
        if self.whitening is None:
            return
        self._use(self.whitening)
        if self.whiten and not is_released(self.model_folder) and not self._stored().exists():
            try:
                self.whitening.save(self._stored())
            except StorageError as error:
                print(f"{error} The vectors folder keeps a copy.", file=sys.stderr)
