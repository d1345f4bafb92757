from __future__ import annotations

import faulthandler
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.mel import MelSettings
from audiomae.corpus import pool
from audiomae.corpus.pool import Job, available_cores, prepare_in_order
from audiomae.corpus.worker import Limits
from audiomae.errors import StorageError


def write_jobs(folder: Path, seconds: list[float]) -> list[Job]:
    jobs = []
    for number, length in enumerate(seconds):
        noise = np.random.default_rng(number).normal(0, 0.1, round(length * 8_000))
        soundfile.write(folder / f"{number}.wav", noise, 8_000)
        jobs.append(Job(folder / f"{number}.wav", folder / f"{number}.mel"))
    return jobs


def run(jobs: list[Job], workers: int = 2) -> list[tuple[int, dict[str, object]]]:
    return list(prepare_in_order(jobs, workers, MelSettings(), Limits()))


def crash(path: Path, *_: object) -> dict[str, object]:
    """A decoder that kills its process on some files, and on one of them only the first time."""
    if "killer" in path.name:
        faulthandler.disable()  # pytest's would print a traceback
        os.kill(os.getpid(), signal.SIGSEGV if "segv" in path.name else signal.SIGKILL)
    if "hang" in path.name:
        time.sleep(600)
    if "once" in path.name and not path.with_suffix(".seen").exists():
        path.with_suffix(".seen").touch()
        os._exit(3)
    return {"name": path.name}


def serve_crashing(pipe, mel, limits):
    pool.prepare_song = crash
    REAL_SERVE(pipe, mel, limits)


REAL_SERVE = pool.serve


@pytest.fixture
def crashing(monkeypatch):
    """Workers are forked from here, so that they know this file's decoder."""
    import multiprocessing

    monkeypatch.setattr(pool, "CONTEXT", ForkContext(multiprocessing.get_context("fork")))
    monkeypatch.setattr(pool, "serve", serve_crashing)


class ForkContext:
    def __init__(self, context):
        self.Pipe, self.Process = context.Pipe, context.Process

    def set_forkserver_preload(self, names):
        pass


def test_results_come_in_order_though_a_long_song_stands_first(tmp_path):
    results = run(write_jobs(tmp_path, [240, 6, 6, 6, 6, 6, 6]))
    assert [number for number, _ in results] == list(range(7))
    assert [result["seconds"] for _, result in results] == [240, 6, 6, 6, 6, 6, 6]
    assert (tmp_path / "3.mel").stat().st_size == results[3][1]["frames"] * 160


@pytest.mark.usefixtures("crashing")
def test_a_song_that_kills_its_worker_is_found_and_the_others_are_done(tmp_path):
    names = ["a", "b", "killer-segv", "c", "d", "killer-oom", "e", "once", "f", "g"]
    jobs = [Job(tmp_path / name, tmp_path / f"{name}.mel") for name in names]
    results = dict(run(jobs, workers=3))
    assert results.pop(2) == {"reason": "decoder crashed: SIGSEGV, twice"}
    assert results.pop(5) == {"reason": "decoder crashed: SIGKILL, twice"}
    assert {number: result["name"] for number, result in results.items()} == {
        number: name for number, name in enumerate(names) if "killer" not in name
    }


@pytest.mark.usefixtures("crashing")
def test_a_song_that_hangs_in_the_decoder_costs_one_song(tmp_path):
    names = ["a", "hang-1", "b", "c", "hang-2", "d", "killer-segv", "e"]
    jobs = [Job(tmp_path / name, tmp_path / f"{name}.mel") for name in names]
    results = dict(prepare_in_order(jobs, 2, MelSettings(), Limits(song_minutes=0.05)))
    for number in (1, 4):
        assert results[number] == {"reason": "time-out: not decoded within 0.05 minutes"}
        assert Limits().stale(str(results[number]["reason"]))
    assert [results[number].get("name") for number in (0, 2, 3, 5, 7)] == ["a", "b", "c", "d", "e"]


@pytest.mark.usefixtures("crashing")
def test_when_every_song_kills_the_run_still_ends(tmp_path):
    jobs = [Job(tmp_path / f"killer{number}", tmp_path / "x") for number in range(4)]
    assert [result["reason"] for _, result in run(jobs)] == ["decoder crashed: SIGKILL, twice"] * 4


def test_workers_end_with_the_run_also_when_it_is_left_early(tmp_path):
    jobs = write_jobs(tmp_path, [6.0] * 8)
    results = prepare_in_order(jobs, 2, MelSettings(), Limits())
    next(results)
    workers = [worker.process for worker in results.gi_frame.f_locals["pool"].workers]
    assert len(workers) == 2
    results.close()
    assert not any(worker.is_alive() for worker in workers)


def test_a_worker_that_cannot_write_ends_the_run(tmp_path):
    (job,) = write_jobs(tmp_path, [6.0])
    with pytest.raises(StorageError, match="No such file or directory"):
        run([Job(job.path, tmp_path / "gone" / "deeper" / "0.mel")])


def test_an_unforeseen_error_is_a_reason_on_one_line(monkeypatch, tmp_path):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(pool, "prepare_song", fail)
    result = pool.attempt(tmp_path / "a", tmp_path / "b", MelSettings(), Limits())
    assert result == {"reason": "damaged: ZeroDivisionError: two lines"}


def test_no_songs_need_no_workers():
    start = time.perf_counter()
    assert run([]) == []
    assert time.perf_counter() - start < 1


def test_the_cores_counted_are_those_this_process_may_use():
    assert available_cores() == len(os.sched_getaffinity(0))
