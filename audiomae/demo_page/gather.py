"""A collection as the page shows it: each song's place on the map, its nearest songs, and a clip to listen to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.audio.decode import decode_blocks
from audiomae.corpus.corpus import Corpus
from audiomae.demo_page.contents import PageSong
from audiomae.demo_page.projection import place_on_map
from audiomae.demo_page.sounds import encode_mp3
from audiomae.disk.files import write_atomically
from audiomae.errors import DecodeError
from audiomae.probing.collection import labels_of
from audiomae.progress import SILENT, Progress, Stage
from audiomae.vectors.parts import stack_vectors
from audiomae.vectors.search import Standardiser, nearest, unit_rows
from audiomae.vectors.vectors import Vectors

__all__ = ["MOST_SOUNDS", "gather_songs"]

MOST_SOUNDS = 400
"""Songs whose sound lies in the page, at most; 27 kB each, and a third more as text: 14 MB."""
NEIGHBOURS = 5
LATEST_START = 60.0
"""Clips that start later are not cut: a song is decoded from its beginning."""
WORKERS = 2


class _Clip(NamedTuple):
    start_seconds: float
    seconds: float


def gather_songs(
    corpus: Corpus,
    vectors: Vectors,
    heard: NDArray[np.int64],
    first: Sequence[int],
    sounds: Path,
    seed: int,
    progress: Progress = SILENT,
) -> tuple[PageSong, ...]:
    """Return the songs of a collection, in its order.

    Args:
        corpus: The songs; their files are read again for the clips.
        vectors: Their vectors, made of this corpus.
        heard: Songs that were trained on.
        first: Songs whose sound must not be missing where there are more than `MOST_SOUNDS`.
        sounds: Folder that keeps the clips as MP3, so that they are cut once.
        seed: Key of the map.
        progress: Is told how many clips are cut.
    """
    values = vectors.standardised()
    places = place_on_map(values, seed=seed)
    found = nearest(values, values, NEIGHBOURS, names=vectors.track_ids, without=range(len(values)))
    starts = _typical_clips(vectors)
    chosen = _with_sound(len(corpus), first, found.rows)
    seconds = float(vectors.meta["clip_seconds"])
    clips = {track: _Clip(starts[track], seconds) for track in chosen}
    with progress.stage("cutting clips", total=len(clips), unit="songs") as stage:
        cut = _cut_all(corpus, clips, sounds, stage)
    rows, labels, trained = corpus.tracks.to_pylist(), labels_of(corpus), set(heard.tolist())
    return tuple(
        PageSong(
            title=row["title"] or Path(row["path"]).stem,
            artist=row["artist"],
            genre=row["genre"],
            folder=labels["folder"][track],
            seconds=row["seconds"],
            x=float(places[track, 0]),
            y=float(places[track, 1]),
            neighbours=tuple(zip(found.rows[track].tolist(), found.cosines[track].tolist(), strict=True)),
            sound=cut.get(track, ""),
            sound_seconds=starts[track],
            heard=track in trained,
        )
        for track, row in enumerate(rows)
    )


def _typical_clips(vectors: Vectors) -> list[float]:
    """Return where in each track its most typical clip starts: the one whose vector is nearest to the track's."""
    known = vectors.track_vectors
    standardise = None if vectors.whitened else Standardiser.fit(known)
    unit = unit_rows(known if standardise is None else standardise(known))
    row_of = {name: row for row, name in enumerate(vectors.track_ids)}
    best, starts = np.full(len(known), -np.inf), np.zeros(len(known))
    for table in vectors.parts():
        values = stack_vectors(table["vector"])
        tracks = [row_of[name] for name in table["track_id"].to_pylist()]
        likeness = np.einsum(
            "ij,ij->i", unit_rows(values if standardise is None else standardise(values)), unit[tracks]
        )
        for track, start, like in zip(
            tracks, table["start_seconds"].to_pylist(), likeness.tolist(), strict=True
        ):
            if start <= LATEST_START and like > best[track]:
                best[track], starts[track] = like, start
    return [float(start) for start in starts]


def _with_sound(tracks: int, first: Sequence[int], near: NDArray[np.int64]) -> list[int]:
    """Return the tracks whose sound goes into the page: those asked for and their neighbours, then evenly spread."""
    asked = dict.fromkeys([*first, *(int(other) for track in first for other in near[track])])
    spread = np.linspace(0, tracks - 1, min(tracks, MOST_SOUNDS)).round().astype(int).tolist()
    return list(dict.fromkeys([*asked, *spread]))[:MOST_SOUNDS]


def _cut_all(corpus: Corpus, clips: dict[int, _Clip], folder: Path, stage: Stage) -> dict[int, str]:
    paths, contents = corpus.tracks["path"].to_pylist(), corpus.tracks["content"].to_pylist()

    def one(track: int) -> tuple[int, str]:
        key = f"{contents[track]} {clips[track].start_seconds:.2f} {clips[track].seconds:.2f}"
        kept = folder / f"{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}.mp3"
        if not kept.exists():
            sound = _cut(Path(paths[track]), clips[track], corpus.mel.sample_rate)
            with write_atomically(kept) as temporary:
                temporary.write_bytes(sound)
        stage.advance()
        return track, str(kept) if kept.stat().st_size else ""

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(pool.map(one, clips))


def _cut(path: Path, clip: _Clip, sample_rate: int) -> bytes:
    """Decode as far as the clip's end and encode the clip; nothing where the song cannot be read any more."""
    first, last = (
        round(clip.start_seconds * sample_rate),
        round((clip.start_seconds + clip.seconds) * sample_rate),
    )
    held: list[NDArray[np.float32]] = []
    samples = 0
    try:
        for block in decode_blocks(path, sample_rate):
            held.append(block)
            samples += len(block)
            if samples >= last:
                break
    except DecodeError:
        if samples < last:
            return b""
    sound = np.concatenate(held)[first:last] if held else np.zeros(0, np.float32)
    return encode_mp3(sound, sample_rate) if len(sound) else b""
