"""A pool of processes that outlives its workers: a decoder that crashes takes one song with it, not the run.

Every worker has a pipe of its own, so it is known which song a dead worker was at. That song is tried once
more with nothing beside it (two large files may only have been too much together); if it kills again, it is
rejected.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import torch

from audiomae.audio.mel import MelSettings
from audiomae.corpus.worker import Limits, prepare_song
from audiomae.disk.stores import local_copy
from audiomae.errors import AudiomaeError, DecodeError, StorageError

__all__ = ["CONTEXT", "Job", "Result", "available_cores", "prepare_in_order", "warm_up"]

LOOK_AHEAD = 64
"""Songs a worker that may be done before the oldest one that is not."""
CONTEXT = get_context("forkserver")
PRELOADED = ["__main__", "audiomae.corpus.pool"]
STOP = b"stop"

Result = dict[str, Any]


class Job(NamedTuple):
    """A song to prepare, by path or URL, and the file for its log-mels."""

    path: Path | str
    mels: Path


@dataclass
class Worker:
    """A process, the pipe to it, the numbers of the jobs it holds, oldest first, and since when it is at that one."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    since: float = 0.0
    overdue: bool = False
    jobs: deque[int] = field(default_factory=deque)


def available_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def warm_up() -> None:
    """Begin to import what workers need, in the process that they are forked from, so that the first starts at once."""
    CONTEXT.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()


def prepare_in_order(
    jobs: Sequence[Job], workers: int, mel: MelSettings, limits: Limits
) -> Iterator[tuple[int, Result]]:
    """Prepare songs in parallel.

    Args:
        jobs: Songs.
        workers: Processes.
        mel: Settings of the log-mels.
        limits: What a song must reach.

    Yields:
        Number of the job and what `prepare_song` returned, in the order of `jobs`; `{"reason": "decoder
        crashed: …"}` for a song that killed its worker twice, `{"reason": "time-out: …"}` for one that took
        longer than `limits.song_minutes`.

    Raises:
        StorageError: If a worker cannot write.
        AudiomaeError: If workers cannot start.
    """
    pool = Pool(jobs, min(workers, len(jobs)), mel, limits)
    try:
        yield from pool.run()
    finally:
        pool.close()


class Pool:
    """The state of one `prepare_in_order`."""

    def __init__(self, jobs: Sequence[Job], workers: int, mel: MelSettings, limits: Limits) -> None:
        self.jobs = jobs
        self.mel, self.limits = mel, limits
        self.queue = deque(range(len(jobs)))
        self.suspects: deque[int] = deque()
        self.suspected: set[int] = set()
        self.results: dict[int, Result] = {}
        self.oldest = 0
        CONTEXT.set_forkserver_preload(PRELOADED)
        self.workers: list[Worker] = []
        try:
            for _ in range(workers):
                self.workers.append(self.start())
        except BaseException:
            self.close()
            raise

    def run(self) -> Iterator[tuple[int, Result]]:
        """Yield the results in order."""
        while self.oldest < len(self.jobs):
            self.dispatch()
            ready = wait([worker.pipe for worker in self.workers], self.end_overdue())
            for worker in [worker for worker in self.workers if worker.pipe in ready]:
                try:
                    self.receive(worker, worker.pipe.recv_bytes())
                except (EOFError, ConnectionError):
                    self.bury(worker)
            while self.oldest in self.results:
                self.oldest += 1
                yield self.oldest - 1, self.results.pop(self.oldest - 1)

    def end_overdue(self) -> float:
        """End the workers that have been at one song for too long; return the seconds to the next such moment."""
        now, limit = time.monotonic(), 60 * self.limits.song_minutes
        left = limit
        for worker in self.workers:
            if worker.ready and worker.jobs and not worker.overdue:
                rest = worker.since + limit - now
                if rest <= 0:
                    worker.overdue = True
                    worker.process.kill()  # its pipe says the rest
                else:
                    left = min(left, rest)
        return left

    def start(self) -> Worker:
        """Start one worker."""
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=serve, args=(theirs, self.mel, self.limits), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, ours)

    def dispatch(self) -> None:
        """Hand out jobs: two a worker, so that none waits for us; a suspect only when all are idle."""
        if self.suspects:
            if not any(worker.jobs for worker in self.workers):
                self.send(self.workers[0], self.suspects.popleft())
            return
        deep = 2 if len(self.queue) > 2 * len(self.workers) else 1
        for depth in range(1, deep + 1):
            for worker in self.workers:
                while len(worker.jobs) < depth and self.queue:
                    if self.queue[0] >= self.oldest + LOOK_AHEAD * len(self.workers):
                        return
                    self.send(worker, self.queue.popleft())

    def send(self, worker: Worker, number: int) -> None:
        """Give a worker a job."""
        if not worker.jobs:
            worker.since = time.monotonic()
        worker.jobs.append(number)
        message = json.dumps([str(self.jobs[number].path), str(self.jobs[number].mels)])
        try:
            worker.pipe.send_bytes(message.encode())
        except (BrokenPipeError, ConnectionError):
            pass  # it is dead; reading from the pipe tells, and buries it

    def receive(self, worker: Worker, message: bytes) -> None:
        """Take a worker's word: first that it is ready, then results in the order of its jobs."""
        worker.since = time.monotonic()
        if not worker.ready:
            worker.ready = True
            return
        result = json.loads(message)
        if "storage" in result:
            raise StorageError(result["storage"])
        self.results[worker.jobs.popleft()] = result

    def bury(self, worker: Worker) -> None:
        """Replace a dead worker; the job it was at is a suspect, those behind it go back."""
        worker.pipe.close()
        worker.process.join()
        self.workers.remove(worker)
        status = worker.process.exitcode or 0
        if not worker.ready:
            raise AudiomaeError(
                f"a worker process ended with {status} before its first song. A script that prepares songs "
                'must do so under `if __name__ == "__main__":`; else free some memory or use fewer --workers.'
            )
        if worker.jobs:
            number = worker.jobs.popleft()
            if worker.overdue:
                minutes = self.limits.song_minutes
                self.results[number] = {"reason": f"time-out: not decoded within {minutes:g} minutes"}
            elif number in self.suspected:
                how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
                self.results[number] = {"reason": f"decoder crashed: {how}, twice"}
            else:
                self.suspected.add(number)
                self.suspects.append(number)
            self.queue.extendleft(reversed(worker.jobs))
        self.workers.append(self.start())

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self.workers:
            if worker.jobs or not worker.ready:
                worker.process.terminate()
            else:
                with contextlib.suppress(OSError):
                    worker.pipe.send_bytes(STOP)
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(10)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def serve(pipe: Connection, mel: MelSettings, limits: Limits) -> None:
    """Prepare the songs that come through `pipe` until told to stop: what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the workers
    torch.set_num_threads(1)
    try:
        pipe.send_bytes(b"ready")
        while (message := pipe.recv_bytes()) != STOP:
            path, mels = json.loads(message)
            pipe.send_bytes(json.dumps(attempt(path, Path(mels), mel, limits)).encode())
    except (EOFError, ConnectionError):
        return


def attempt(path: Path | str, mels: Path, mel: MelSettings, limits: Limits) -> Result:
    """Prepare one song; a full disk becomes `{"storage": line}`, an unforeseen error a reason."""
    try:
        with local_copy(path) as file:
            return prepare_song(file, mels, mel, limits)
    except DecodeError as error:
        return {"reason": str(error).removeprefix(f"{path}: ")}
    except OSError as error:
        return {
            "storage": f"{mels.parent.parent}: cannot write ({error.strerror or error}). What was there "
            "before is intact; free some space or name another folder, then run the same command again."
        }
    except Exception as error:  # noqa: BLE001  one damaged file must not end the run
        return {"reason": f"damaged: {type(error).__name__}: {' '.join(str(error).split())[:200]}"}
