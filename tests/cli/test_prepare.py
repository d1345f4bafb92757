from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.mel import MelSettings
from audiomae.cli.main import main
from audiomae.corpus import build as pipeline
from audiomae.corpus import pool
from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError, MissingError
from audiomae.verbs.prepare import PrepareSettings, prepare
from data_prep.songs.sources import Asked, find_songs


@pytest.fixture
def here(monkeypatch) -> None:
    """Songs are prepared in this process: nothing to start, nothing to wait for."""

    def in_order(jobs, _, mel, limits):
        for number, job in enumerate(jobs):
            yield number, pool.attempt(job.path, job.mels, mel, limits)

    monkeypatch.setattr(pipeline, "prepare_in_order", in_order)


@pytest.fixture
def songs(tmp_path) -> Path:
    (tmp_path / "songs" / "ünder").mkdir(parents=True)
    for number, name in enumerate(("a.wav", "b.flac", "ünder/c.ogg", "ünder/d.wav")):
        samples = np.random.default_rng(number).normal(0, 0.1, 6 * 16_000)
        soundfile.write(tmp_path / "songs" / name, samples, 16_000)
    return tmp_path / "songs"


def paths(out: Path) -> list[str]:
    return [Path(path).name for path in Corpus.open(out).tracks["path"].to_pylist()]


@pytest.mark.usefixtures("here")
def test_files_folders_and_lists_may_be_mixed(songs, tmp_path):
    (tmp_path / "list.csv").write_text("path,artist\nsongs/b.flac,Someone\n", encoding="utf-8")
    named = (str(tmp_path / "list.csv"), str(songs / "a.wav"), str(songs / "ünder"))
    assert prepare(PrepareSettings(songs=named, out=str(tmp_path / "out"))).added == 4
    assert paths(tmp_path / "out") == ["b.flac", "a.wav", "c.ogg", "d.wav"]
    assert Corpus.open(tmp_path / "out").tracks["artist"].to_pylist() == ["Someone", "", "", ""]


@pytest.mark.usefixtures("here")
def test_the_result_is_two_lines_and_a_table_of_what_was_left_out(songs, tmp_path, capsys):
    (songs / "bad.mp3").write_text("no audio")
    (songs / "e.wav").write_bytes((songs / "a.wav").read_bytes())
    assert main(["prepare", str(songs), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    first, second, *table = said.out.splitlines()
    fingerprint = Corpus.open(tmp_path / "out").fingerprint
    assert first == f"{tmp_path / 'out'}: 4 tracks, 0.01 hours, fingerprint {fingerprint}"
    assert second.startswith("of 6 songs 4 added, 1 there twice at ")
    assert any("not audio" in line and "1" in line for line in table)
    assert table[-1] == f"{tmp_path / 'out' / 'rejects.parquet'} names each and says why."


@pytest.mark.usefixtures("here")
def test_when_no_song_can_be_prepared_the_exit_status_is_one_with_a_line(tmp_path, capsys):
    (tmp_path / "bad.mp3").write_text("no audio")
    for _ in range(2):
        assert main(["prepare", str(tmp_path / "bad.mp3"), "--out", str(tmp_path / "out")]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "none of 1 songs could be prepared" in said.err


@pytest.mark.usefixtures("here")
def test_a_run_that_finds_all_songs_known_is_no_failure(songs, tmp_path, capsys):
    for new in (4, 0):
        assert main(["prepare", str(songs), "--out", str(tmp_path / "out")]) == 0
        known = f", {4 - new} known before" if new < 4 else ""
        assert f"of 4 songs {new} added{known}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["gone"], 1, "gone: no such file or folder"),
        ([], 2, "source folder needs files, folders or lists; 0 are named"),
        (["--source", "debian"], 2, "source debian needs names of packages"),
        (["x", "--source", "generated"], 2, "'x' is one too many"),
        (
            ["x", "--source", "jamndo"],
            2,
            "source 'jamndo' is not one. Close: jamendo. There are folder, list, ",
        ),
        (["x", "--mel.n_fft", "401"], 2, "mel.n_fft 401 is odd"),
        ([".", "--mel.mels", "600"], 2, "mel bands without a bin"),
        ([".", "--workers", "-2"], 2, "workers is -2; it must be at least 0"),
        ([".", "--shortest_seconds", "-1"], 2, "shortest_seconds is -1.0; it must be at least 0"),
        ([".", "--source", "list"], 1, "a list ends in .csv"),
    ],
)
def test_bad_usage_is_one_line_and_the_right_exit_status(
    tmp_path, monkeypatch, capsys, arguments, status, line
):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(10), 16_000)
    assert main(["prepare", *arguments]) == status
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_every_source_finds_its_songs(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 16_000)
    (tmp_path / "list.csv").write_text("path\na.wav\n")
    listed = find_songs("list", Asked((str(tmp_path / "list.csv"),)))
    assert [song.path.name for song in listed] == ["a.wav"]
    (tmp_path / "blues").mkdir()
    soundfile.write(tmp_path / "blues" / "blues.00000.wav", np.zeros(10), 16_000)
    gtzan = find_songs("gtzan", Asked((str(tmp_path),)))
    assert [(song.track_id, song.genre) for song in gtzan] == [("blues.00000", "blues")]
    made = find_songs("generated", Asked(songs_dir=str(tmp_path / "made"), count=1))
    assert [song.path.parent for song in made] == [tmp_path / "made"]
    for source in ("fma", "jamendo"):
        with pytest.raises(MissingError):
            list(find_songs(source, Asked((str(tmp_path),))))
    with pytest.raises(ConfigError, match="needs the folder of the unpacked archive"):
        list(find_songs("fma", Asked()))


@pytest.mark.usefixtures("here")
def test_settings_reach_the_corpus(songs, tmp_path):
    mel = MelSettings(mels=40, hop_samples=320)
    config = PrepareSettings(songs=(str(songs),), out=str(tmp_path / "out"), mel=mel, shard_megabytes=0.03)
    assert prepare(config).corpus == str(tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    assert corpus.mel == mel
    assert corpus.mels(0).shape == (301, 40)
    assert len(corpus.meta["shards"]) == 4


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "audiomae", "prepare", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background jobs, and what they start, ignore Ctrl-C; a user's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.processes
def test_the_command_survives_kill_9_and_ctrl_c_and_ends_with_the_same_bytes(songs, tmp_path, monkeypatch):
    """The real thing, once: processes, pipes and signals."""
    for number in range(40):
        samples = np.random.default_rng(100 + number).normal(0, 0.1, 20 * 16_000)
        soundfile.write(songs / f"more-{number:02}.flac", samples, 16_000)
    arguments = ["songs", "--out", "out", "--workers", "2", "--shard_megabytes", "1"]
    out = tmp_path / "out"
    for stop, shards in ((signal.SIGKILL, 1), (signal.SIGINT, 4)):
        with start(arguments, tmp_path) as process:
            entries = [out / ".journal" / f"shard-{number:05d}.json" for number in range(shards)]
            wait_for(lambda entries=entries: entries[-1].exists(), process)
            process.send_signal(stop)
            said = process.communicate(timeout=60)
        assert process.returncode == (-9 if stop == signal.SIGKILL else 130), said
        assert not (out / "corpus.json").exists()
    assert said[1] == "\naudiomae prepare: interrupted; the same command goes on from here.\n"
    assert not list(out.glob(".spool-*"))
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *arguments]) == 0
    assert prepare(PrepareSettings(songs=("songs",), out="whole", workers=1, shard_megabytes=1)).added == 44
    assert files(out) == files(tmp_path / "whole")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
