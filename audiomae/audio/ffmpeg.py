"""Reading with ffmpeg's command line what libsndfile does not know: m4a, aac, wma and others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DecodeError

__all__ = ["ffmpeg_version", "open_ffmpeg"]

BLOCK_VALUES = 1 << 18
PATIENCE_SECONDS = 60.0
"""Time without a sample after which ffmpeg is given up."""
TIMED = frozenset(("aiff", "ape", "asf", "caf", "flac", "matroska", "mov", "ogg", "tta", "wav", "wv"))
"""Containers that say how long they are; of others, such as bare AAC, ffprobe gives a guess."""


def ffmpeg_version() -> str:
    """Return the version of the ffmpeg on PATH, empty where ffmpeg or ffprobe is not there."""
    ffmpeg, ffprobe = shutil.which("ffmpeg"), shutil.which("ffprobe")
    return version_of(ffmpeg) if ffmpeg and ffprobe else ""


@cache
def version_of(ffmpeg: str) -> str:
    """Return the version that one ffmpeg says it has."""
    try:
        answer = subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    words = answer.stdout.split()
    return words[2] if len(words) > 2 else "unknown"


def open_ffmpeg(path: Path, stack: contextlib.ExitStack) -> tuple[int, int, Iterator[NDArray[np.float32]]]:
    """Start decoding a file's first audio stream.

    Args:
        path: File to read.
        stack: Ends the process when it closes.

    Returns:
        Sample rate in Hz, samples the container promises (0: unknown), and mono float32 blocks.

    Raises:
        DecodeError: If ffmpeg finds no audio in it.
    """
    sample_rate, channels, seconds = probe(path)
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - the stack closes it
    stack.callback(complaints.close)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-ac", str(channels), "-ar", str(sample_rate), "-f", "f32le", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, stdin=subprocess.DEVNULL)
    stack.callback(stop, process)
    return sample_rate, round(seconds * sample_rate), read_blocks(path, process, channels, complaints)


def probe(path: Path) -> tuple[int, int, float]:
    """Return the first audio stream's sample rate in Hz, its channels, and its seconds (0: unknown)."""
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file,pipe", "-select_streams", "a:0"]
    command += [
        "-show_entries",
        "stream=sample_rate,channels,duration:format=duration,format_name",
        "-of",
        "json",
    ]
    try:
        answer = subprocess.run(
            [*command, f"file:{path}"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
        said = json.loads(answer.stdout or b"{}")
        stream = said["streams"][0]
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        raise DecodeError(f"{path}: not audio: ffmpeg finds no audio in it") from error
    if rate < 1 or not 1 <= channels <= 1024:
        raise DecodeError(f"{path}: damaged: {rate} Hz, {channels} channels")
    try:
        if TIMED.isdisjoint(said["format"]["format_name"].split(",")):
            return rate, channels, 0.0
        seconds = float(stream.get("duration") or said["format"]["duration"])
    except (LookupError, ValueError):
        seconds = 0.0
    return rate, channels, seconds


def read_blocks(
    path: Path, process: subprocess.Popen[bytes], channels: int, complaints: IO[bytes]
) -> Iterator[NDArray[np.float32]]:
    """Read mono blocks from the process until it ends."""
    assert process.stdout is not None
    width = 4 * channels
    size = max(BLOCK_VALUES // channels, 1) * width
    while raw := _read_or_give_up(path, process, size):
        whole = raw[: len(raw) // width * width]
        block = np.frombuffer(whole, dtype="<f4").reshape(-1, channels)
        if len(block):
            with np.errstate(over="ignore", invalid="ignore"):
                yield block.mean(axis=1, dtype=np.float32)
    status = process.wait()
    complaints.seek(0)
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
    if status or lines:
        said = (
            re.sub(r"^\[(\S+) @ 0x[0-9a-f]+\]", r"\1:", lines[0]) if lines else f"ffmpeg exits with {status}"
        )
        raise DecodeError(f"{path}: damaged: {said}")


def _read_or_give_up(path: Path, process: subprocess.Popen[bytes], size: int) -> bytes:
    """Read so many bytes, fewer at the end; end a process that hands over nothing for a long time."""
    assert process.stdout is not None
    raw = bytearray()
    while len(raw) < size:
        if not select.select([process.stdout], [], [], PATIENCE_SECONDS)[0]:
            process.kill()
            raise DecodeError(f"{path}: damaged: ffmpeg hands over nothing for {PATIENCE_SECONDS:g} s")
        part = os.read(process.stdout.fileno(), size - len(raw))
        if not part:
            break
        raw += part
    return bytes(raw)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process, whatever it is doing."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
