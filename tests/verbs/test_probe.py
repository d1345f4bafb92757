from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.decode import decode
from audiomae.errors import ConfigError, DecodeError
from audiomae.model.embedder import load
from audiomae.probing.labels import read_tasks
from audiomae.probing.measures import probe_linear, retrieve_track
from audiomae.probing.vectors import mel_statistics, vectors_of_files
from audiomae.verbs.probe import ProbeSettings, probe


@pytest.fixture
def labels(tones: Path, tmp_path: Path) -> Path:
    """Tones labelled by pitch, in two folds, and asked for the other one of their pitch."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "task", "label", "fold", "track"])
        for number in range(6):
            writer.writerow(
                [tones / f"tone-{number}.wav", "pitch", "abc"[number // 2], number % 2, f"t{number}"]
            )
            writer.writerow([tones / f"tone-{number}.wav", "pitch_track", "", "", f"p{number // 2}"])
    return path


def run(tiny_model: Path, labels: Path, tmp_path: Path, **settings: object) -> dict:
    out = tmp_path / "probe.json"
    config = ProbeSettings(str(tiny_model), str(labels), out=str(out), bootstrap=50, threads=1, **settings)
    probe(config)
    return json.loads(out.read_text())


def test_pitches_are_told_apart_and_the_file_names_its_protocol(tiny_model, labels, tmp_path):
    result = run(tiny_model, labels, tmp_path, neighbours=1)
    assert result["format"] == "audiomae-probe/1"
    pitch, track = result["tasks"]["pitch"], result["tasks"]["pitch_track"]
    assert (pitch["clips"], pitch["classes"], pitch["folds"]) == (6, 3, {"count": 2, "from": "labels file"})
    assert set(pitch["scores"]) == {"model", "mel statistics", "untrained encoder"}
    assert pitch["scores"]["model"]["linear"] == {"score": 1.0, "low": 1.0, "high": 1.0}
    assert pitch["scores"]["model"]["knn"]["score"] == 1.0
    assert track["scores"]["model"]["rank1"]["score"] == 1.0
    # The tiny model has the untrained encoder's own random weights: the paired difference is nothing.
    assert pitch["model_above"]["untrained encoder"]["linear"] == {"score": 0.0, "low": 0.0, "high": 0.0}
    assert [line.split(" decide nothing: ")[0] for line in result["cautions"]] == [
        "the scores of pitch",
        "the scores of pitch_track",
    ]
    protocol = result["protocol"]
    assert "C=0.01" in protocol["linear"]
    assert protocol["model"]["fingerprint"] == load(tiny_model).fingerprint
    assert {"seed", "versions", "labels", "interval"} <= set(protocol)


def test_the_result_has_the_scores_of_the_file_by_name(tiny_model, labels, tmp_path, capsys):
    told = run(tiny_model, labels, tmp_path, neighbours=1)
    found = probe(ProbeSettings(str(tiny_model), str(labels), bootstrap=50, threads=1, neighbours=1))
    pitch = found.tasks["pitch"]
    assert (pitch.kind, pitch.clips, pitch.folds, pitch.folds_from) == ("classes", 6, 2, "labels file")
    assert pitch.scores["model"]["linear"].score == 1.0
    assert found.tasks["pitch_track"].largest_class is None
    assert {name: task.as_json() for name, task in found.tasks.items()} == told["tasks"]
    assert found.protocol == told["protocol"]
    assert capsys.readouterr() == ("", "")


def test_the_same_command_gives_the_same_file(tiny_model, labels, tmp_path):
    first = run(tiny_model, labels, tmp_path, seed=3)
    assert run(tiny_model, labels, tmp_path, seed=3) == first
    assert first["tasks"]["pitch"]["model_above"]["untrained encoder"] != {}


def test_the_vectors_are_written_with_the_names_of_their_files(tiny_model, tones, labels, tmp_path):
    run(tiny_model, labels, tmp_path, vectors_out=str(tmp_path / "v.npz"), tasks=["pitch"])
    with np.load(tmp_path / "v.npz", allow_pickle=False) as stored:
        assert stored["path"].tolist() == [f"tone-{number}.wav" for number in range(6)]
        expected = load(tiny_model).embed(decode(tones / "tone-4.wav", 16_000), 16_000)[0]
        assert np.allclose(stored["vec"][4], expected, atol=1e-5)


def test_mel_statistics_are_mean_and_deviation_over_time():
    log_mels = np.array([[[1.0, 5.0], [3.0, 5.0]]], np.float32)
    assert mel_statistics(log_mels).tolist() == [[2.0, 5.0, 1.0, 0.0]]


def test_files_of_different_lengths_keep_their_order(tiny_model, tones, tmp_path):
    short = tmp_path / "short.wav"
    soundfile.write(short, decode(tones / "tone-0.wav", 16_000)[:1000], 16_000)
    paths = [tones / "tone-0.wav", short, tones / "tone-1.wav"]
    model = load(tiny_model)
    together = vectors_of_files(paths, {"model": model})["model"]
    alone = np.concatenate([vectors_of_files([path], {"model": model})["model"] for path in paths])
    assert np.allclose(together, alone, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_an_unreadable_file_is_named(tiny_model, tmp_path):
    (tmp_path / "a.wav").write_text("no audio")
    (tmp_path / "labels.csv").write_text("path,task,label\na.wav,same_track,x\n")
    with pytest.raises(DecodeError, match=r"a\.wav"):
        probe(ProbeSettings(str(tiny_model), str(tmp_path / "labels.csv")))


@pytest.mark.parametrize(
    "settings", [{"folds": 1}, {"neighbours": 0}, {"bootstrap": -1}, {"inverse_penalty": 0.0}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ProbeSettings("run", "labels.csv", **settings)


@pytest.mark.shared
def test_retrieval_and_linear_probe_equal_the_benchmarks_own_scores(shared, tmp_path):
    bench = shared / "bench"
    with (bench / "pool.csv").open() as file:
        unseen = sorted({f"deb:{row['package']}" for row in csv.DictReader(file) if row["role"] == "unseen"})
    with np.load(bench / "peers.npz") as peers:
        vectors = dict(
            zip(map(os.path.basename, peers["path"].tolist()), peers["mfcc"].astype(np.float32), strict=True)
        )
    where = {"source": unseen}
    tasks = read_tasks(bench / "labels.csv", ["music_track", "music_composer"], where)
    values = [np.stack([vectors[path.name] for path in task.paths]) for task in tasks]
    by_name = {task.name: (task, rows) for task, rows in zip(tasks, values, strict=True)}
    track, rows = by_name["music_track"]
    np.savez(tmp_path / "v.npz", path=np.array([path.name for path in track.paths]), vec=rows)
    done = subprocess.run(
        [sys.executable, str(bench / "score.py"), str(tmp_path / "v.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout.split("ours")[1].strip().replace("'", '"'))
    assert retrieve_track(rows, track.labels).mean() == pytest.approx(theirs["track"], abs=6e-4)
    # Their PCA is a randomised one where the vectors are long; here a clip or two may change sides.
    white = retrieve_track(rows, track.labels, whiten=128).mean()
    assert white == pytest.approx(theirs["track_white"], abs=6e-3)
    composer, rows = by_name["music_composer"]
    ours = probe_linear(rows, composer.labels, composer.folds).mean()
    # score.py stops the regression after 300 steps.
    assert ours == pytest.approx(theirs["composer"], abs=6e-3)
