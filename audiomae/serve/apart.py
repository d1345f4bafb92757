"""Work that may hang, crash or eat memory, in a process of its own with a time limit: decoding what others made.

The forkserver is small (no torch), so a process costs some milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from audiomae.errors import DecodeError
from audiomae.serve.answers import RefusedError

__all__ = ["Decoder"]

CONTEXT = get_context("forkserver")
WORK = "audiomae.serve.decoding"
"""What the processes do, by the name of its module."""
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
    CONTEXT.set_forkserver_preload(["__main__", "audiomae.serve.apart", WORK])
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=in_process, args=(theirs, json.dumps(job)), daemon=True)
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


def in_process(pipe: Connection, text: str) -> None:
    """Do a job: what the process runs. Its libraries are imported there alone."""
    import_module(WORK).decode_and_tell(pipe, text)
