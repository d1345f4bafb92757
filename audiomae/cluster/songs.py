"""Songs prepared on the nodes of a Ray cluster, with the results of `audiomae.corpus.pool`, in the same order.

Every Ray task has a process of its own for each song, as on one machine, so a decoder that crashes is told by
its signal and takes one song with it. What kills the whole worker (its node, or Ray's guard of the memory) is
counted song by song, so that no song can do it for ever. Log-mels come back through Ray's object store: only
the driver needs to see the corpus.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from audiomae.audio.decode import decoder_versions
from audiomae.audio.mel import MelSettings
from audiomae.cluster.stream import PIECE_BYTES, Starts, join_cluster, pieces_of, stream
from audiomae.corpus.pool import Job, Result, prepare_in_order
from audiomae.corpus.worker import Limits
from audiomae.disk.stores import is_url, local_copy
from audiomae.errors import AudiomaeError, DecodeError, StorageError

__all__ = ["prepare_on_ray"]

SONGS_A_TASK = 8
UNSEEN = "no such file"
MOST_DEATHS = 3
"""Workers that may die at a song before it is left out; more than one, as a node may die by chance."""


def prepare_on_ray(
    jobs: Sequence[Job], workers: int, mel: MelSettings, limits: Limits, *, address: str | None = None
) -> Iterator[tuple[int, Result]]:
    """Prepare songs on a Ray cluster; otherwise as `audiomae.corpus.pool.prepare_in_order`.

    The nodes must have audiomae installed, with the same decoders, and see the songs where the driver does,
    unless URLs name them.

    Args:
        jobs: Songs.
        workers: Tasks at a time, each on one CPU; 0 for all CPUs of the cluster.
        mel: Settings of the log-mels.
        limits: What a song must reach.
        address: As for `join_cluster`.

    Yields:
        Number of the job and what `prepare_song` returned, in the order of `jobs`.

    Raises:
        StorageError: If a worker or the driver cannot write.
        AudiomaeError: If there is no cluster, or it is lost, or its nodes do not see the songs.
    """
    with join_cluster(address, workers) as ray:
        cpus = max(1, workers or int(ray.cluster_resources().get("CPU", 1)))
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        starts = (
            ray.remote(Starts)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
            .remote()  # should its node die, it starts anew and has forgotten: a song gets more tries, no fewer
        )
        pieces = stream(
            ray,
            [[number, str(job.path)] for number, job in enumerate(jobs)],
            partial(
                prepare_batch,
                starts=starts,
                most_deaths=MOST_DEATHS,
                mel=mel,
                limits=limits,
                decoders=decoder_versions(),
            ),
            per_task=max(1, min(SONGS_A_TASK, len(jobs) // (4 * cpus))),
            compute=ray.data.TaskPoolStrategy(size=workers or None),
            num_cpus=1,
        )
        with contextlib.closing(pieces):
            for piece in pieces:
                file = jobs[piece.number].mels
                if piece.header is None:
                    append(file, piece.data)
                    continue
                path = jobs[piece.number].path
                if piece.header.get("reason") == UNSEEN and not is_url(path) and Path(path).exists():
                    raise AudiomaeError(
                        f"node {piece.header['node']} does not see {path}, which is here. Put the songs in a "
                        "folder that all nodes share, at the same path, or name them by URL."
                    )
                yield piece.number, {key: value for key, value in piece.header.items() if key != "node"}


def append(file: Path, data: bytes) -> None:
    """Append to a file of the spool."""
    try:
        with file.open("ab") as handle:
            handle.write(data)
    except OSError as error:
        raise StorageError(
            f"{file.parent.parent}: cannot write ({error.strerror or error}). What was there before is intact; "
            "free some space or name another folder, then run the same command again."
        ) from error


def prepare_batch(
    batch: dict[str, Any],
    *,
    starts: Any,
    most_deaths: int,
    mel: MelSettings,
    limits: Limits,
    decoders: dict[str, str],
) -> Iterator[pa.Table]:
    """Prepare the songs of a task, one after another: what runs on a node."""
    import ray

    node = socket.gethostname()
    if (found := decoder_versions()) != decoders:
        name = next(name for name in decoders if found.get(name) != decoders[name])
        line = (
            f"node {node} has {name} {found.get(name) or 'not at all'}, the driver {decoders[name] or 'none'}; "
            "the corpus would depend on who decodes what. Install the same on all nodes."
        )
        yield from pieces_of(0, iter(()), {"refused": line})
        return
    remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=f"audiomae-ray-{os.getpid()}-") as folder:
        mels = Path(folder) / "spool" / "song.mel"
        mels.parent.mkdir()
        for text in batch["item"]:
            number, path = json.loads(str(text))
            deaths = ray.get(starts.begin.remote(number))
            if deaths >= most_deaths:
                result: Result = {"reason": f"decoder crashed: its worker died, {deaths} times"}
            else:
                result = prepare_one(path, mels, mel, limits)
            kept = "reason" not in result and "refused" not in result and "storage" not in result
            if result.get("reason") == UNSEEN:
                result["node"] = node
            yield from pieces_of(number, read_pieces(mels) if kept else iter(()), result)
            starts.end.remote(number)
            mels.unlink(missing_ok=True)


def prepare_one(path: str, mels: Path, mel: MelSettings, limits: Limits) -> Result:
    """Prepare one song in a process of its own."""
    try:
        with local_copy(path) as file, without_main():
            ((_, result),) = prepare_in_order([Job(file, mels)], 1, mel, limits)
            return result
    except DecodeError as error:
        return {"reason": str(error).removeprefix(f"{path}: ")}
    except StorageError as error:
        return {"storage": str(error)}
    except AudiomaeError as error:
        return {"refused": str(error)}


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Keep processes that are started from reading this one's main file: a Ray worker's, which takes seconds."""
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    try:
        yield
    finally:
        if file is not None:
            main["__file__"] = file


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces."""
    with path.open("rb") as file:
        while part := file.read(PIECE_BYTES):
            yield part


def remove_left_behind() -> None:
    """Remove what workers of this machine that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob("audiomae-ray-*-*"):
        number = folder.name.split("-")[2]
        if number.isdecimal() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
