from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomae.corpus.clips import clip_starts
from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import load, save, untrained
from audiomae.model.released import model_folder
from audiomae.model.whitening import Whitening
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import VectorsWriter
from audiomae.verbs.export import ExportSettings, export


def run(model: Path, source: Path, out: Path, **settings: object) -> Vectors:
    export(ExportSettings((str(model), str(source)), str(out), **settings))
    return Vectors.open(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_clip_of_the_grid_gets_the_vector_that_the_model_gives_it_alone(
    tiny_model, small_corpus, tmp_path
):
    vectors = run(tiny_model, small_corpus, tmp_path / "v", hop_seconds=2.0, batch=7)
    corpus, model = Corpus.open(small_corpus), load(tiny_model)
    clips = list(vectors.clips())
    starts = clip_starts(1200, 496, 200)
    assert [(clip.track_id, clip.start_seconds) for clip in clips] == [
        (name, start / 100) for name in corpus.track_ids for start in starts.tolist()
    ]
    for clip in clips[::5]:
        mels = corpus.mels(corpus.find(clip.track_id), round(clip.start_seconds * 100), 496)
        alone = model.embed_mels(torch.from_numpy(mels.astype(np.float32))[None])[0].numpy()
        cosine = alone @ clip.vector / np.linalg.norm(alone) / np.linalg.norm(clip.vector)
        assert cosine >= 0.9999
    assert vectors.track_ids == corpus.track_ids
    assert vectors.tracks["path"].to_pylist() == corpus.tracks["path"].to_pylist()


def test_vectors_do_not_depend_on_the_batch_they_sat_in(tiny_model, small_corpus, tmp_path):
    one = run(tiny_model, small_corpus, tmp_path / "one", batch=1, part_clips=1)
    many = run(tiny_model, small_corpus, tmp_path / "many", batch=64)
    a, b = (np.stack([clip.vector for clip in vectors.clips()]) for vectors in (one, many))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() >= 0.9999
    assert len(one.meta["parts"]) == 6
    assert len(many.meta["parts"]) == 1


def test_layer_and_pooling_can_be_chosen_and_are_written_down(tiny_model, small_corpus, tmp_path):
    vectors = run(tiny_model, small_corpus, tmp_path / "v", layer=1, pool="mean_std")
    assert (vectors.dim, vectors.meta["layer"], vectors.meta["pool"]) == (64, 1, "mean_std")
    expected = load(tiny_model).with_pooling(layer=1, pool="mean_std")
    mels = torch.from_numpy(Corpus.open(small_corpus).mels(0, 500, 496).astype(np.float32))[None]
    assert np.allclose(list(vectors.clips())[1].vector, expected.embed_mels(mels)[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["within", "soft", "pca"])
def test_a_fitted_whitening_evens_the_clips_out_and_stays_with_the_model(
    tiny_model, small_corpus, tmp_path, kind
):
    model = shutil.copytree(tiny_model, tmp_path / "run")
    vectors = run(model, small_corpus, tmp_path / "v", whiten=5, whiten_kind=kind, hop_seconds=0.5)
    clips = np.stack([clip.vector for clip in vectors.clips()])
    assert vectors.meta["whiten"] == vectors.dim == 5
    tracks = clips[None] if kind == "pca" else clips.reshape(6, 15, 5)
    inner = (tracks - tracks.mean(axis=1, keepdims=True)).reshape(-1, 5)
    spread = np.linalg.eigvalsh(np.cov(inner.T, bias=True))
    if kind == "pca":
        assert np.allclose(spread, 1, atol=1e-2)
    elif kind == "soft":
        assert 1.05 < spread.max() / spread.min() < np.sqrt(1001)
    else:
        # A little of the whole variance is added to that within tracks, so it ends below 1.
        assert spread.max() < 1.01
        assert np.cov(clips.T, bias=True).trace() > 10 * spread.sum()
    (stored,) = (model / "whitening").iterdir()
    assert stored.read_bytes() == (tmp_path / "v" / "whitening.safetensors").read_bytes()
    assert not (tmp_path / "v" / ".raw").exists()
    again = run(model, small_corpus, tmp_path / "again", whitening="model", hop_seconds=0.5)
    assert np.array_equal(np.stack([clip.vector for clip in again.clips()]), clips)
    other = {"within": "pca", "pca": "soft", "soft": "within"}[kind]
    with pytest.raises(FingerprintError, match=f"whiten_kind '{kind}', not '{other}'"):
        run(model, small_corpus, tmp_path / "v", whiten=5, whiten_kind=other, hop_seconds=0.5)


def test_a_whitening_of_another_layer_is_refused(tiny_model, small_corpus, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "run")
    run(model, small_corpus, tmp_path / "v", whiten=3)
    file = str(tmp_path / "v" / "whitening.safetensors")
    with pytest.raises(FingerprintError, match="fitted with layer 2, not 1"):
        run(model, small_corpus, tmp_path / "w", whitening=file, layer=1)
    with pytest.raises(MissingError, match="Fit one"):
        run(model, small_corpus, tmp_path / "w", whitening="model", layer=1)


@pytest.mark.parametrize("whiten", [0, 4])
@pytest.mark.parametrize("killed_at", [1, 3, 7, 9])
def test_an_interrupted_export_goes_on_to_the_same_bytes(
    tiny_model, small_corpus, tmp_path, monkeypatch, whiten, killed_at
):
    settings = {"part_clips": 2, "whiten": whiten, "hop_seconds": 1.0, "batch": 3}
    model = shutil.copytree(tiny_model, tmp_path / "run")
    run(model, small_corpus, tmp_path / "whole", **settings)
    whole = contents(tmp_path / "whole")
    shutil.rmtree(model / "whitening", ignore_errors=True)
    calls = 0
    add_part, finish, save_whitening = VectorsWriter.add_part, VectorsWriter.finish, Whitening.save

    def count(real):
        def wrapped(*arguments):
            nonlocal calls
            calls += 1
            if calls == killed_at:
                raise KeyboardInterrupt
            return real(*arguments)

        return wrapped

    monkeypatch.setattr(VectorsWriter, "add_part", count(add_part))
    monkeypatch.setattr(VectorsWriter, "finish", count(finish))
    monkeypatch.setattr(Whitening, "save", count(save_whitening))
    steps = 6 + 1 + (6 + 2 if whiten else 0)
    if killed_at <= steps:
        with pytest.raises(KeyboardInterrupt):
            run(model, small_corpus, tmp_path / "killed", **settings)
        assert not (tmp_path / "killed" / "vectors.json").exists()
    run(model, small_corpus, tmp_path / "killed", **settings)
    assert contents(tmp_path / "killed") == whole


@pytest.mark.processes
def test_kill_9_in_the_middle_and_the_same_command_again_give_the_same_bytes(small_corpus, tmp_path):
    model = tmp_path / "run"
    save(untrained(ModelSettings(width=96, depth=6, heads=3)), model, {})
    settings = ["--part_clips", "1", "--hop_seconds", "0.5", "--batch", "4", "--threads", "1", "--out"]
    command = [sys.executable, "-m", "audiomae", "export", str(model), str(small_corpus), *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, tmp_path / "whole"], check=True, capture_output=True, env=environment)
    with subprocess.Popen(
        [*command, tmp_path / "killed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        while process.poll() is None and not (tmp_path / "killed" / "clips" / "part-00001.parquet").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "vectors.json").exists()
    done = subprocess.run([*command, tmp_path / "killed"], check=True, capture_output=True, env=environment)
    assert b"6 tracks" in done.stdout
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_finished_export_is_left_alone_and_a_damaged_one_repaired(
    tiny_model, small_corpus, tmp_path, caplog
):
    out = tmp_path / "v"
    settings = ExportSettings((str(tiny_model), str(small_corpus)), str(out), part_clips=3)
    assert not export(settings).found_complete
    whole, written = contents(out), (out / "vectors.json").stat().st_mtime_ns
    assert export(settings).found_complete
    assert (out / "vectors.json").stat().st_mtime_ns == written
    part = out / "clips" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:50])
    assert not export(settings).found_complete
    assert "Repairing" in caplog.text
    assert contents(out) == whole


def test_other_settings_in_the_same_folder_are_refused_unless_overwritten(tiny_model, small_corpus, tmp_path):
    run(tiny_model, small_corpus, tmp_path / "v")
    with pytest.raises(FingerprintError, match="holds vectors with layer 2, not 1"):
        run(tiny_model, small_corpus, tmp_path / "v", layer=1)
    assert run(tiny_model, small_corpus, tmp_path / "v", layer=1, overwrite=True).meta["layer"] == 1


def test_a_corpus_of_another_mel_is_refused_in_one_line(small_corpus, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "run")
    embedder = load(model)
    object.__setattr__(embedder, "mel", type(embedder.mel)(low_hz=20.0))
    save(embedder, model, {})
    with pytest.raises(
        FingerprintError, match=r"mel\.low_hz is 50\.0, but the model was trained with 20\.0"
    ) as caught:
        run(model, small_corpus, tmp_path / "v")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "v" / "vectors.json").exists()


def test_inputs_that_are_not_there_or_do_not_fit_are_refused(tiny_model, small_corpus, tones, tmp_path):
    with pytest.raises(MissingError, match="no such file or folder"):
        run(tiny_model, tmp_path / "nowhere", tmp_path / "v")
    with pytest.raises(ConfigError, match="is a corpus; export it alone"):
        export(ExportSettings((str(tiny_model), str(small_corpus), str(tones)), str(tmp_path / "v")))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_text("no audio")
    with pytest.raises(DataError, match="none of 1 songs can be used; the first: not audio"):
        run(tiny_model, tmp_path / "bad", tmp_path / "v")


def test_the_model_in_the_package_keeps_no_whitening_and_is_not_written_to(small_corpus, tmp_path):
    folder = model_folder("tiny")
    before = contents(folder)
    vectors = run(Path("tiny"), small_corpus, tmp_path / "v", whiten=3)
    assert vectors.meta["model_fingerprint"] == load("tiny").fingerprint
    assert Whitening.load(tmp_path / "v" / "whitening.safetensors").dims == 3
    assert contents(folder) == before
    with pytest.raises(
        MissingError, match=r"tiny: a model in the package keeps no whitening\. .* --whitening"
    ):
        run(Path("tiny"), small_corpus, tmp_path / "w", whitening="model")
    again = run(
        Path("tiny"), small_corpus, tmp_path / "w", whitening=str(tmp_path / "v" / "whitening.safetensors")
    )
    assert [a.vector.tobytes() for a in again.clips()] == [b.vector.tobytes() for b in vectors.clips()]
