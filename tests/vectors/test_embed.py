from __future__ import annotations

import numpy as np
import pytest
import torch

from audiomae.audio.mel import MelSettings
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.corpus.writer import CorpusWriter
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import untrained
from audiomae.model.whitening import Whitening
from audiomae.vectors.embed import embed_tracks, plan_parts, whiten_tracks

LENGTHS = [200, 1200, 496, 30, 700, 200]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Tracks shorter and longer than a clip."""
    generator, mel = np.random.default_rng(0), MelSettings()
    folder = tmp_path_factory.mktemp("lengths") / "corpus"
    writer = CorpusWriter(folder, mel)
    with writer.spool() as spool:
        for number, frames in enumerate(LENGTHS):
            values = generator.normal(number, 2, (frames, mel.mels)).astype(np.float16)
            values.tofile(spool / str(number))
            row = dict.fromkeys(TAGS, "")
            row |= {
                "track_id": f"t{number}",
                "path": f"{number}.wav",
                "content": f"c{number}",
                "frames": frames,
            }
            row |= {"seconds": frames / 100, "level": -20.0, "bytes": 1, "modified_ns": 1}
            row |= {
                "mel_sum": float(values.sum(dtype=float)),
                "mel_square_sum": float(np.square(values, dtype=float).sum()),
            }
            writer.add(row, spool / str(number))
        writer.commit({"decoder": "synthetic"})
    return Corpus.open(folder)


@pytest.fixture(scope="module")
def model():
    return untrained(ModelSettings(width=16, depth=1, heads=1))


def test_tracks_shorter_than_a_clip_get_one_short_clip_of_their_own(corpus, model):
    done: list[int] = []
    tracks = embed_tracks(model, corpus, range(6), hop_frames=350, batch=2, on_clips=done.append)
    assert [track.track_id for track in tracks] == [f"t{number}" for number in range(6)]
    assert [track.start_seconds.tolist() for track in tracks] == [[0], [0, 3.5, 7.0], [0], [0], [0], [0]]
    assert sum(done) == 8
    assert max(done) == 2
    for number in (0, 3, 5):
        alone = model.embed_mels(torch.from_numpy(corpus.mels(number).astype(np.float32))[None])[0].numpy()
        # Batches of another size; float32 sums in another order.
        assert np.allclose(tracks[number].vectors[0], alone, atol=1e-5)


def test_a_part_gives_the_same_bytes_whatever_was_embedded_before(corpus, model):
    settings = {"hop_frames": 100, "batch": 3}
    alone = embed_tracks(model, corpus, range(4, 6), **settings)
    embed_tracks(model, corpus, range(0, 4), **settings)
    again = embed_tracks(model, corpus, range(4, 6), **settings)
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(alone, again, strict=True))


def test_bf16_stays_close_to_fp32(corpus, model):
    exact, rough = (
        embed_tracks(model, corpus, range(1, 3), hop_frames=100, batch=4, precision=precision)[0].vectors
        for precision in ("fp32", "bf16")
    )
    assert not np.array_equal(exact, rough)
    cosines = (exact * rough).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosines.min() > 0.999


def test_whitening_changes_vectors_and_nothing_else(corpus, model):
    tracks = embed_tracks(model, corpus, range(6), hop_frames=100, batch=8)
    assert whiten_tracks(tracks, None) is tracks
    every = np.concatenate([track.vectors for track in tracks])
    whitening = Whitening.fit(every, 3)
    white = whiten_tracks(tracks, whitening)
    assert [len(track.vectors) for track in white] == [len(track.vectors) for track in tracks]
    assert np.array_equal(np.concatenate([track.vectors for track in white]), whitening.transform(every))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_parts_hold_every_track_once_and_whole(size):
    clips = np.random.default_rng(0).integers(1, 9, 40)
    parts = list(plan_parts(clips, size))
    assert [track for part in parts for track in part] == list(range(40))
    assert all(clips[part.start : part.stop].sum() >= size for part in parts[:-1])
