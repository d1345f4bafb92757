"""What a decoding process does: one file to WAV, within limits of memory and time."""

from __future__ import annotations

import json
import resource
import signal
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import soundfile

from audiomae.audio.decode import decode_blocks
from audiomae.errors import AudiomaeError, DecodeError

__all__ = ["decode_and_tell"]

MEMORY_BYTES = 4 << 30
"""Address space that decoding may take."""
MOST_SECONDS = 7200.0
"""Longest sound that is decoded, in seconds."""


def decode_and_tell(pipe: Connection, text: str) -> None:
    """Do the job that a text describes, and send what came of it."""
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
