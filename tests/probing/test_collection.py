"""Questions about a corpus's own songs: right answers are found, and too few songs give no number."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from audiomae.corpus.corpus import Corpus
from audiomae.model.embedder import load
from audiomae.probing.collection import (
    LEAST_TRACKS,
    MEL_STATISTICS,
    PlacedClips,
    clips_of_tracks,
    judge_collection,
    labels_of,
    vectors_of_clips,
)


def collection(tracks, artists):
    """Tracks by artists in turn, one folder an artist, and four clips of each."""
    artist = [f"artist {i % artists}" for i in range(tracks)]
    rows = pa.table(
        {
            "artist": artist,
            "genre": [""] * tracks,
            "path": [f"/music/{name}/album/{i}.ogg" for i, name in enumerate(artist)],
        }
    )
    corpus = SimpleNamespace(track_ids=[f"t{i}" for i in range(tracks)], tracks=rows)
    return corpus, PlacedClips(np.repeat(np.arange(tracks), 4), np.zeros(4 * tracks, np.int64))


def knowing(numbers, seed=0):
    """Vectors that tell numbers apart and nothing else."""
    draws = np.random.default_rng(seed)
    return (
        3 * draws.normal(size=(max(numbers) + 1, 32))[numbers] + draws.normal(size=(len(numbers), 32))
    ).astype(np.float32)


def test_vectors_that_know_the_song_and_the_artist_answer_and_noise_does_not():
    corpus, clips = collection(40, artists=4)
    vectors = {
        "ours": np.hstack([knowing(clips.tracks), knowing(clips.tracks % 4)]),
        "noise": np.random.default_rng(5).normal(size=(160, 32)).astype(np.float32),
    }
    song, artist, genre, folder = judge_collection(corpus, clips, vectors, seed=0)
    assert song.chance == pytest.approx(3 / 159)
    assert song.scores["ours"].score > 0.95
    assert song.scores["noise"].score < 0.1
    assert song.above["noise"].low > 0.8
    assert (artist.tracks, artist.clips, artist.answers, artist.chance) == (40, 160, 4, 0.25)
    assert artist.scores["ours"].score > 0.9
    assert artist.scores["noise"].high < 0.5
    assert folder.scores == artist.scores
    assert genre.scores == {}


def test_one_song_too_few_gives_no_number():
    few, enough = (
        judge_collection(
            *collection(count, artists=2), {"ours": knowing(np.repeat(np.arange(count), 4))}, seed=0
        )
        for count in (LEAST_TRACKS - 1, LEAST_TRACKS)
    )
    assert [bool(one.scores) for one in few] == [False, False, False, False]
    assert [bool(one.scores) for one in enough] == [True, True, False, True]
    assert few[1].tracks == LEAST_TRACKS - 1


def test_an_artist_with_few_songs_is_no_answer():
    corpus, clips = collection(40, artists=20)
    artist = judge_collection(corpus, clips, {"ours": knowing(clips.tracks)}, seed=0)[1]
    assert (artist.tracks, artist.answers, artist.scores) == (0, 0, {})


def test_no_clips_at_all_are_too_few():
    corpus, _ = collection(3, artists=1)
    none = PlacedClips(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert all(not one.scores for one in judge_collection(corpus, none, {"ours": np.zeros((0, 4))}, seed=0))


def test_the_folder_is_the_first_below_what_all_songs_share():
    def folders(*paths):
        none = [""] * len(paths)
        rows = pa.table({"artist": none, "genre": none, "path": list(paths)})
        return labels_of(SimpleNamespace(tracks=rows))["folder"]

    assert folders("/m/a/x/1.ogg", "/m/a/2.ogg", "/m/b/3.ogg") == ["a", "a", "b"]
    assert folders("/m/a/1.ogg", "/m/2.ogg") == ["a", ""]
    assert folders("/m/1.ogg", "/m/2.ogg") == ["", ""]


def test_clips_lie_evenly_in_their_tracks_and_every_model_is_asked(small_corpus, tiny_model):
    corpus = Corpus.open(small_corpus)
    clips = clips_of_tracks(corpus, np.array([0, 3]), 496, 6)
    assert clips.tracks.tolist() == [0, 0, 3, 3]  # 12 s hold two clips
    assert clips.starts.tolist()[:2] == [0, corpus.frames[0] - 496]
    told = []
    vectors = vectors_of_clips(corpus, clips, {"ours": load(tiny_model)}, on_clips=told.append)
    assert {name: len(values) for name, values in vectors.items()} == {"ours": 4, MEL_STATISTICS: 4}
    assert vectors[MEL_STATISTICS].shape[1] == 2 * corpus.mel.mels
    assert told == [4]
    none = clips_of_tracks(corpus, np.array([0]), 1000, 6)  # 12 s are shorter than two such clips
    assert vectors_of_clips(corpus, none, {"ours": load(tiny_model)})["ours"].shape[0] == 0
