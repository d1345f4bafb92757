"""What vectors tell of a corpus's own songs: clips of its log-mels, asked for their song, artist, genre and folder.

Nothing is decoded again and nobody labels anything: the questions come from the tags and folders that there are. Where
they would be asked of too few songs for an answer to mean something, that is said instead of a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.corpus.corpus import Corpus
from audiomae.model.embedder import Embedder
from audiomae.probing.measures import Score, bootstrap, draw_folds, probe_linear, retrieve_track
from audiomae.probing.vectors import mel_statistics

__all__ = [
    "LEAST_TRACKS",
    "LEAST_TRACKS_AN_ANSWER",
    "MEL_STATISTICS",
    "Judgement",
    "PlacedClips",
    "clips_of_tracks",
    "judge_collection",
    "labels_of",
    "vectors_of_clips",
]

LEAST_TRACKS = 20
"""Tracks that a question must be asked of."""
LEAST_TRACKS_AN_ANSWER = 5
"""Tracks that an artist, genre or folder needs to be one of the answers."""

MEL_STATISTICS = "mel statistics"
DRAWS = 1000
_BATCH = 64


class PlacedClips(NamedTuple):
    """Clips of a corpus by place."""

    tracks: NDArray[np.int64]
    """Index of each clip's track in the corpus, (clips,)."""
    starts: NDArray[np.int64]
    """First frame in it, (clips,)."""


@dataclass(frozen=True)
class Judgement:
    """One question and its scores.

    Attributes:
        name: same_track, artist, genre or folder.
        tracks: Tracks it could be asked of: of artists, genres or folders with enough tracks.
        clips: Clips of these.
        answers: Different right answers.
        chance: Share that guessing gets right: any other clip, or always the most frequent answer.
        scores: Name of the vectors → share of clips answered rightly, with its interval; empty where there are too
            few tracks.
        above: Name of other vectors → how far the first are above them, paired, with its interval.
    """

    name: str
    tracks: int
    clips: int
    answers: int
    chance: float = 0.0
    scores: Mapping[str, Score] = field(default_factory=dict)
    above: Mapping[str, Score] = field(default_factory=dict)


def clips_of_tracks(corpus: Corpus, tracks: NDArray[np.int64], clip_frames: int, each: int) -> PlacedClips:
    """Spread up to `each` clips evenly over every track, none overlapping another.

    Args:
        corpus: Prepared songs.
        tracks: Indices of tracks; those shorter than two clips are left out.
        clip_frames: Length of a clip.
        each: Clips of a track at most.
    """
    rows, starts = [], []
    for track in tracks.tolist():
        frames = int(corpus.frames[track])
        count = min(each, frames // clip_frames)
        if count >= 2:
            rows += [track] * count
            starts += np.linspace(0, frames - clip_frames, count).round().astype(int).tolist()
    return PlacedClips(np.array(rows, np.int64), np.array(starts, np.int64))


def vectors_of_clips(
    corpus: Corpus,
    clips: PlacedClips,
    embedders: Mapping[str, Embedder],
    *,
    on_clips: Callable[[float], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Embed clips by every embedder, and by mel statistics.

    Args:
        corpus: Where the log-mels lie.
        clips: Which clips.
        embedders: Models of the corpus's mel settings and one clip length, by name.
        on_clips: Called with the number of clips of each batch when it is done.

    Returns:
        (clips, d) for each name and for `MEL_STATISTICS`, last.
    """
    frames = next(iter(embedders.values())).config.clip_frames
    dims = {name: embedder.dim for name, embedder in embedders.items()} | {
        MEL_STATISTICS: 2 * corpus.mel.mels
    }
    rows = {name: [np.zeros((0, dim), np.float32)] for name, dim in dims.items()}
    for first in range(0, len(clips.tracks), _BATCH):
        some = slice(first, first + _BATCH)
        mels = np.stack(
            [
                corpus.mels(track, start, frames).astype(np.float32)
                for track, start in zip(clips.tracks[some].tolist(), clips.starts[some].tolist(), strict=True)
            ]
        )
        for name, embedder in embedders.items():
            rows[name].append(embedder.embed_mels(torch.from_numpy(mels)).float().cpu().numpy())
        rows[MEL_STATISTICS].append(mel_statistics(mels))
        if on_clips:
            on_clips(len(mels))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def judge_collection(
    corpus: Corpus, clips: PlacedClips, vectors: Mapping[str, NDArray[np.float32]], *, seed: int
) -> list[Judgement]:
    """Ask of every clip which song it is from, and of those with tags or folders which artist, genre or folder.

    The song is asked as retrieval: is the nearest other clip of the same song? The others by logistic regression on
    the other tracks (5 folds).

    Args:
        corpus: Where tags and paths stand.
        clips: What to ask about.
        vectors: By name, (clips, d); the first are those that the others are compared with.
        seed: Key of folds and bootstrap draws.
    """
    names = np.array(corpus.track_ids)[clips.tracks] if len(clips.tracks) else np.zeros(0, np.str_)
    found = [_ask_song(names, vectors, seed)]
    for name, labels in labels_of(corpus).items():
        if name == "folder" and len(set(labels)) < 2:  # one folder with all songs asks nothing
            continue
        asked = np.array([labels[track] for track in clips.tracks.tolist()], dtype=np.str_)
        found.append(_ask_label(name, asked, names, vectors, seed))
    return found


def _ask_song(tracks: NDArray[np.str_], vectors: Mapping[str, NDArray[np.float32]], seed: int) -> Judgement:
    count = len(set(tracks.tolist()))
    if count < LEAST_TRACKS:
        return Judgement("same_track", count, len(tracks), count)
    own = np.array([(tracks == track).sum() - 1 for track in tracks])
    hits = {name: retrieve_track(values, tracks) for name, values in vectors.items()}
    chance = float(own.mean() / (len(tracks) - 1))
    return _judgement("same_track", tracks, count, chance, hits, seed)


def _ask_label(
    name: str,
    labels: NDArray[np.str_],
    tracks: NDArray[np.str_],
    vectors: Mapping[str, NDArray[np.float32]],
    seed: int,
) -> Judgement:
    pairs = set(zip(labels.tolist(), tracks.tolist(), strict=True))
    counts = Counter(label for label, _ in pairs if label)
    answers = {label for label, count in counts.items() if count >= LEAST_TRACKS_AN_ANSWER}
    kept = np.isin(labels, sorted(answers)) if answers else np.zeros(len(labels), np.bool_)
    labels, tracks = labels[kept], tracks[kept]
    count = len(set(tracks.tolist()))
    if len(answers) < 2 or count < LEAST_TRACKS:
        return Judgement(name, count, len(labels), len(answers))
    folds = draw_folds(labels, tracks, folds=5, seed=seed)
    hits = {which: probe_linear(values[kept], labels, folds) for which, values in vectors.items()}
    chance = max(Counter(labels.tolist()).values()) / len(labels)
    return _judgement(name, tracks, len(answers), chance, hits, seed)


def _judgement(
    name: str,
    tracks: NDArray[np.str_],
    answers: int,
    chance: float,
    hits: Mapping[str, NDArray[np.bool_]],
    seed: int,
) -> Judgement:
    def interval(values: NDArray[Any]) -> Score:
        return bootstrap(values, tracks, resamples=DRAWS, seed=seed)

    first, *others = hits
    return Judgement(
        name,
        len(set(tracks.tolist())),
        len(tracks),
        answers,
        chance,
        {which: interval(values) for which, values in hits.items()},
        {other: interval(hits[first].astype(int) - hits[other]) for other in others},
    )


def labels_of(corpus: Corpus) -> dict[str, list[str]]:
    """Return what is known of every track without hearing it: artist, genre and folder, empty where unknown.

    The folder is the first one below the folder that all songs share, so that ~/Music/Artist/Album/song.flac is in
    "Artist" whatever else lies there.
    """
    rows = corpus.tracks
    return {
        "artist": rows["artist"].to_pylist(),
        "genre": rows["genre"].to_pylist(),
        "folder": _folders(rows["path"].to_pylist()),
    }


def _folders(paths: Sequence[str]) -> list[str]:
    parents = [PurePath(path).parent.parts for path in paths]
    shared = 0
    while parents and all(len(parts) > shared for parts in parents):
        if len({parts[shared] for parts in parents}) > 1:
            break
        shared += 1
    return [parts[shared] if len(parts) > shared else "" for parts in parents]
