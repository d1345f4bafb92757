from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomae.errors import ConfigError, DataError
from audiomae.vectors import duplicates as module
from audiomae.vectors.duplicates import clip_cosine, find_duplicates, group_pairs
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter

CLIPS = 8


def song(number: int) -> np.ndarray:
    """Clips of a song: a sound of its own, and each clip another."""
    draw = np.random.default_rng(number)
    return draw.normal(size=16) + draw.normal(size=(CLIPS, 16)) + 5


def write(
    folder: Path, songs: dict[str, np.ndarray], *, seconds: dict[str, float] | None = None, part: int = 3
) -> Vectors:
    writer = VectorsWriter(folder, {"model_fingerprint": "m", "whiten": 0}, 16)
    tracks = [
        TrackClips(name, np.arange(len(clips)) * 5.0, clips.astype(np.float32))
        for name, clips in songs.items()
    ]
    for first in range(0, len(tracks), part):
        writer.add_part(tracks[first : first + part])
    lengths = {name: 5.0 * len(clips) for name, clips in songs.items()} | (seconds or {})
    writer.finish({name: {"path": f"music/{name}.flac", "seconds": lengths[name]} for name in songs})
    return Vectors.open(folder)


def collection(count: int) -> dict[str, np.ndarray]:
    return {f"song-{number}": song(number) for number in range(count)}


def noise(scale: float = 0.1) -> np.ndarray:
    return np.random.default_rng(99).normal(0, scale, (CLIPS, 16))


@pytest.mark.parametrize("count", [2, 6, 100], ids=["two songs", "few songs", "more than few"])
def test_a_copy_is_found_in_a_collection_of_any_size(tmp_path, count):
    songs = {**collection(count - 1), "copy": song(0) + noise()}
    vectors = write(tmp_path, songs)
    (pair,) = find_duplicates(vectors)
    assert (vectors.track_ids[pair.first], vectors.track_ids[pair.second]) == ("song-0", "copy")
    assert pair.clip_cosine is not None
    assert pair.similarity == pair.clip_cosine > 0.95


@pytest.mark.parametrize("count", [6, 100])
def test_a_song_with_the_same_clips_in_another_order_is_a_soundalike_no_copy(tmp_path, count):
    vectors = write(tmp_path, {**collection(count), "medley": song(0)[::-1] + noise()})
    assert find_duplicates(vectors) == []
    if count > module.FEW_TRACKS:
        (pair,) = find_duplicates(vectors, clips=None)
        assert (pair.first, pair.second, pair.clip_cosine) == (0, count, None)


def test_lengths_must_agree_unless_any_will_do(tmp_path):
    songs = {**collection(100), "edit": song(0)[2:] + noise()[2:]}
    vectors = write(tmp_path, songs)
    assert find_duplicates(vectors) == []
    (pair,) = find_duplicates(vectors, threshold=0.5, seconds=None)
    assert (pair.first, pair.second) == (0, 100)
    assert pair.clip_cosine == pytest.approx(1, abs=0.05)
    (pair,) = find_duplicates(vectors, threshold=0.5, seconds=10.0)
    assert pair.second == 100


def test_batches_of_clips_do_not_change_what_is_found(tmp_path, monkeypatch):
    songs = collection(90) | {f"copy-{number}": song(number) + noise() for number in range(12)}
    vectors = write(tmp_path, songs)
    whole = find_duplicates(vectors)
    assert len(whole) == 12
    monkeypatch.setattr(module, "HELD_CLIPS", 3 * CLIPS)
    assert find_duplicates(vectors) == whole


def test_only_parts_that_hold_a_candidate_are_read_for_its_clips(tmp_path, monkeypatch):
    vectors = write(tmp_path, {**collection(99), "copy": song(0) + noise()}, part=5)
    read = []
    part = Vectors.part
    monkeypatch.setattr(Vectors, "part", lambda self, number: read.append(number) or part(self, number))
    monkeypatch.setattr(module, "fit_clips", lambda _: None)
    find_duplicates(vectors, threshold=0.9)
    assert read == [0, 19]


def test_whitened_vectors_are_compared_as_they_are(tmp_path):
    vectors = write(tmp_path, {**collection(70), "copy": song(0) + noise()})
    whitened = Vectors(vectors.folder, {**vectors.meta, "whiten": 16}, vectors.tracks, vectors.track_vectors)
    assert module.fit_clips(whitened) is None
    assert len(find_duplicates(whitened, 0.5, clips=0.5)) > 1  # what all have in common was not taken out


def test_the_shorter_is_laid_where_it_fits_best():
    whole = np.eye(6, dtype=np.float32)
    assert clip_cosine(whole, whole[2:5]) == clip_cosine(whole[2:5], whole) == 1
    assert clip_cosine(whole[:3], whole[3:]) == 0


def test_groups_join_what_pairs_join():
    pairs = [module.DuplicatePair(*rows, 1.0, None) for rows in ((4, 7), (1, 4), (2, 3), (0, 7))]
    assert group_pairs(pairs) == [[0, 1, 4, 7], [2, 3]]
    assert group_pairs([]) == []


def test_an_empty_folder_and_one_without_lengths(tmp_path):
    assert find_duplicates(write(tmp_path / "none", {})) == []
    vectors = write(tmp_path / "some", collection(3))
    path = tmp_path / "some" / "tracks.parquet"
    pq.write_table(vectors.tracks.drop_columns(["seconds"]), path)
    with pytest.raises(DataError, match="column seconds is missing or holds no numbers"):
        find_duplicates(Vectors.open(tmp_path / "some"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"threshold": 1.5}, "threshold is 1.5; it must be from -1 to 1"),
        ({"clips": float("nan")}, "clips is nan; it must be from -1 to 1"),
        ({"seconds": -1}, "seconds is -1; it must be at least 0"),
    ],
)
def test_limits_out_of_range_are_refused(tmp_path, words, line):
    with pytest.raises(ConfigError, match=line):
        find_duplicates(write(tmp_path, collection(2)), **words)
