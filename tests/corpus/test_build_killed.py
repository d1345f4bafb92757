"""kill -9 at any moment: the next run ends with the bytes of a run that was left alone."""

from __future__ import annotations

import os
import resource
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.mel import MelSettings
from audiomae.corpus import build as pipeline
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import Song
from audiomae.errors import StorageError

MEL = MelSettings(sample_rate=8_000, n_fft=512, hop_samples=80, mels=40, high_hz=4_000)


@pytest.fixture
def songs(tmp_path) -> list[Song]:
    """Sixteen songs of 5 s and more, three duplicates, a short one and a text among them."""
    (tmp_path / "songs").mkdir()
    paths = [tmp_path / "songs" / f"{number:02}.wav" for number in range(16)]
    for number, path in enumerate(paths):
        samples = np.random.default_rng(number % 13).normal(0, 0.1, 8_000 * (5 + number % 13 % 4))
        soundfile.write(path, samples[: 8_000 if number == 5 else None], 8_000)
    paths[7].write_text("no audio")
    return [Song(path) for path in paths]


def run(songs: list[Song], out: Path) -> None:
    prepare_corpus(songs, out, mel=MEL, shard_megabytes=0.12)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def in_child(work: Callable[[], None]) -> int:
    """Do `work` in a process forked from here; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # 3.12 on: forking beside idle threads of a library
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def kill_after(seconds: float, work: Callable[[], None]) -> bool:
    """Return whether `work` was still at it when it was killed."""
    child = in_child(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.usefixtures("alone")
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(songs, tmp_path):
    run(songs, tmp_path / "warm up")
    start = time.perf_counter()
    run(songs, tmp_path / "whole")
    whole_seconds = time.perf_counter() - start
    assert len(Corpus.open(tmp_path / "whole")) == 11
    assert len(list((tmp_path / "whole" / "mels").iterdir())) >= 5
    moments = np.random.default_rng(0).uniform(0.05, 1.0, 10) * whole_seconds
    killed = 0
    for number, seconds in enumerate(moments):
        out = tmp_path / f"cut-{number}"
        killed += kill_after(seconds, lambda out=out: run(songs, out))
        run(songs, out)
        assert files(out) == files(tmp_path / "whole")
    assert killed >= 3


@pytest.mark.usefixtures("alone")
def test_a_run_killed_again_and_again_gets_further_each_time_and_ends_the_same(songs, tmp_path):
    run(songs, tmp_path / "whole")
    out = tmp_path / "cut"
    for shards in (1, 2, 4):

        def stop_at(shards: int = shards) -> None:
            real = pipeline.CorpusWriter.close_shard

            def close(writer: pipeline.CorpusWriter) -> None:
                real(writer)
                if writer.next_shard >= shards:
                    os.kill(os.getpid(), signal.SIGKILL)

            pipeline.CorpusWriter.close_shard = close
            run(songs, out)

        os.waitpid(in_child(stop_at), 0)
        assert len(list((out / ".journal").glob("shard-*.json"))) == shards
        assert not (out / "corpus.json").exists()
    run(songs, out)
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.usefixtures("alone")
def test_a_kill_while_songs_are_added_keeps_the_corpus_that_was_there(songs, tmp_path):
    for out in (tmp_path / "whole", tmp_path / "cut"):
        run(songs[:6], out)
    before = files(tmp_path / "cut")
    # One of the first six changes, too: it is prepared again, and its old row must not come back.
    soundfile.write(songs[2].path, np.random.default_rng(99).normal(0, 0.1, 48_000), 8_000)
    run(songs, tmp_path / "whole")

    def stop() -> None:
        pipeline.CorpusWriter.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        run(songs, tmp_path / "cut")

    os.waitpid(in_child(stop), 0)
    after = files(tmp_path / "cut")
    assert {name: after[name] for name in before} == before
    assert len(Corpus.open(tmp_path / "cut")) == 5
    run(songs, tmp_path / "cut")
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.usefixtures("alone")
def test_a_disk_that_takes_no_more_is_one_line_and_keeps_the_corpus_that_was_there(songs, tmp_path):
    run(songs[:6], tmp_path / "out")
    before = files(tmp_path / "out")

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # the kernel refuses larger files
        try:
            run(songs, tmp_path / "out")
        except StorageError as error:
            (tmp_path / "said").write_text(str(error))

    os.waitpid(in_child(fill), 0)
    line = f"{tmp_path / 'out'}: cannot write (File too large). What was there before is intact; "
    assert (tmp_path / "said").read_text().startswith(line)
    assert "\n" not in (tmp_path / "said").read_text()
    assert files(tmp_path / "out") == before
    run(songs, tmp_path / "out")
    assert len(Corpus.open(tmp_path / "out")) == 11
