"""What export tells its caller: the result, progress, songs left out, settings that it refuses."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError
from audiomae.model.embedder import load
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.export import ExportSettings, LeftOut, export


def test_the_result_says_what_the_vectors_are(tiny_model, small_corpus, tmp_path, capsys):
    model = shutil.copytree(tiny_model, tmp_path / "run")
    made = export(ExportSettings((str(model), str(small_corpus)), str(tmp_path / "v"), whiten=3))
    vectors = Vectors.open(tmp_path / "v")
    assert (made.vectors, made.tracks, made.clips, made.dim) == (str(tmp_path / "v"), 6, 12, vectors.dim)
    assert (made.layer, made.pool, made.whiten, made.hop_seconds) == (2, "freq_concat", 3, 5.0)
    assert made.fingerprint == vectors.meta["fingerprint"]
    assert made.corpus_fingerprint == Corpus.open(small_corpus).fingerprint
    assert (made.found_complete, made.left_out) == (False, [])
    assert capsys.readouterr() == ("", "")


class Counter:
    """Counts what a stage is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float | None, str, float]] = []
        self.done = 0.0

    @contextlib.contextmanager
    def stage(self, name: str, *, total: float | None, unit: str = "", done: float = 0):
        self.stages.append((name, total, unit, done))
        yield self

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def update(self, done: float, note: str = "") -> None:
        self.done, self.note = done, note


def test_progress_is_told_every_clip_once(tiny_model, small_corpus, tmp_path):
    progress = Counter()
    settings = ExportSettings((str(tiny_model), str(small_corpus)), str(tmp_path / "v"), batch=5)
    export(settings, progress=progress)
    assert progress.stages == [("embedding", 12, "clips", 0)]
    assert progress.done == 12


def test_files_and_folders_are_exported_without_a_corpus(tiny_model, tones, tmp_path, caplog):
    songs = shutil.copytree(tones, tmp_path / "songs")
    (songs / "broken.wav").write_text("no audio")
    made = export(ExportSettings((str(tiny_model), str(songs)), str(tmp_path / "v"), threads=1))
    (left_out,) = made.left_out
    assert isinstance(left_out, LeftOut)
    assert (Path(left_out.path).name, left_out.reason.partition(":")[0]) == ("broken.wav", "not audio")
    assert "broken.wav: " in caplog.text
    vectors = Vectors.open(tmp_path / "v")
    assert vectors.tracks["title"].to_pylist() == [f"tone-{number}" for number in range(6)]
    direct = load(tiny_model).embed_files([tones / "tone-3.wav"])[0]
    # float16 log-mels on both sides; float32 sums in another order.
    assert np.allclose(vectors.track_vectors[3], direct, atol=1e-5)
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == [
        ".lock",
        "clips",
        "tracks.parquet",
        "vectors.json",
    ]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"inputs": ("run",)}, "takes a model and a corpus"),
        ({"batch": 0}, "batch is 0"),
        ({"hop_seconds": 0.0}, "hop_seconds is 0.0"),
        ({"whiten": 3, "whitening": "model"}, "one of the two"),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        ExportSettings(**{"inputs": ("run", "corpus"), **settings})
