"""Work that may hang, crash or eat memory, in a process of its own with a time limit: decoding what others made.

The forkserver is small (no torch), so a process costs some milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiomae.audio.decode import decode_blocks
from audiomae.errors import AudiomaeError, DecodeError
from audiomae.serve.answers import RefusedError

__all__ = ["Decoder"]

CONTEXT = get_context("forkserver")
MEMORY_BYTES = 4 << 30
"""Address space that decoding may take."""
MOST_SECONDS = 7200.0
"""Longest sound that is decoded, in seconds."""
WAIT_SECONDS = 10.0
"""Time that a request waits for its turn, in seconds."""


class Decoder:
    """Decodes files to WAV, a few at a time.

    Args:
        seconds: Time that one file may take, in seconds.
        at_once: Files decoded beside each other.
    """

    def __init__(self, seconds: float, at_once: int = 2) -> None:
        self.seconds = seconds
        self.places = threading.BoundedSemaphore(at_once)

    def decode(
        self,
        source: Path,
        target: Path,
        sample_rate: int,
        *,
        start_seconds: float = 0.0,
        seconds: float | None = None,
        subtype: str = "FLOAT",
        name: str = "",
    ) -> float:
        """Decode a file, or a part of it, to mono.

        Args:
            source: Audio file.
            target: WAV file to write.
            sample_rate: Its rate, in Hz.
            start_seconds: Where the part starts.
            seconds: Its length at most; all without.
            subtype: FLOAT keeps every sample as it was decoded, PCM_16 is what browsers play.
            name: What the file is called in errors.

        Returns:
            Seconds written.

        Raises:
            DecodeError: If it cannot be decoded, or not in time.
            RefusedError: If too many others are being decoded.
        """
        job = {
            "source": str(source),
            "target": str(target),
            "sample_rate": sample_rate,
            "start_seconds": start_seconds,
            "seconds": seconds,
            "subtype": subtype,
            "limit": self.seconds,
        }
        with self.place():
            result = run_apart(job, self.seconds)
        if "error" in result:
            raise DecodeError(str(result["error"]).replace(str(source), name or source.name))
        return float(result["seconds"])

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places."""
        if not self.places.acquire(timeout=WAIT_SECONDS):
            raise RefusedError(503, "too many files are being decoded; ask again in a while.")
        try:
            yield
        finally:
            self.places.release()


def run_apart(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Decode in a process of its own, and end it when its time is over."""
    CONTEXT.set_forkserver_preload(["__main__", "audiomae.serve.apart"])
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=decode_here, args=(theirs, json.dumps(job)), daemon=True)
    try:
        process.start()
        theirs.close()
        if not ours.poll(seconds):
            return {"error": f"{job['source']}: time-out: not decoded within {seconds:g} s"}
        found: dict[str, Any] = json.loads(ours.recv_bytes())
        return found
    except (EOFError, ConnectionError):
        process.join(5)
        status = process.exitcode or 0
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return {"error": f"{job['source']}: decoder crashed: {how}"}
    finally:
        ours.close()
        if process.pid is not None:
            process.kill()
            process.join()


def decode_here(pipe: Connection, text: str) -> None:
    """Decode and send the result: what the process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = json.loads(text)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    ceiling = int(job["limit"]) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (ceiling, ceiling))
    try:
        result: dict[str, Any] = {"seconds": write_wav(job)}
    except AudiomaeError as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": f"{job['source']}: no memory: decoding it takes more than there is"}
    except Exception as error:  # noqa: BLE001  a damaged file can raise anything
        result = {"error": f"{job['source']}: damaged: {type(error).__name__}"}
    pipe.send_bytes(json.dumps(result).encode())


def write_wav(job: dict[str, Any]) -> float:
    """Write the part of a file that a job names as WAV; return its seconds."""
    rate = int(job["sample_rate"])
    skip = round(job["start_seconds"] * rate)
    left = round((MOST_SECONDS if job["seconds"] is None else job["seconds"]) * rate)
    written = 0
    with soundfile.SoundFile(job["target"], "w", rate, 1, job["subtype"], format="WAV") as file:
        for block in decode_blocks(job["source"], rate, most_seconds=MOST_SECONDS):
            part = block[skip : skip + left]
            skip = max(0, skip - len(block))
            if len(part):
                file.write(part if job["subtype"] == "FLOAT" else np.clip(part, -1, 1))
                written, left = written + len(part), left - len(part)
            if left <= 0:
                break
    if not written:
        raise DecodeError(f"{job['source']}: has nothing from {job['start_seconds']:g} s on")
    return written / rate
