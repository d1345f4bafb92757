"""From an audio file to mono samples at one rate, in blocks, so that hours fit in little memory.

soundfile (libsndfile) reads wav, flac, mp3, ogg and opus; what it does not know goes to ffmpeg's command line
when that is on PATH. Channels are averaged, then soxr (HQ) resamples. The same file always gives the same
samples.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiomae.audio.ffmpeg import ffmpeg_version, open_ffmpeg
from audiomae.audio.mp3 import count_samples
from audiomae.errors import DecodeError

__all__ = ["LOUDEST", "decode", "decode_blocks", "decoder_versions"]

BLOCK_VALUES = 1 << 18
"""Samples times channels read at once."""
RATES = (1_000, 768_000)
"""Sample rates taken at their word, in Hz; a flipped bit in a header asks for others."""
LOUDEST = 100.0
"""Largest sample magnitude that still passes for audio scaled to [-1, 1]."""
MISSING_SECONDS = 0.2
"""Audio that may lack at the end of what a header promises before the file counts as truncated."""
# fmt: off
FFMPEG_SUFFIXES = frozenset((
    ".aac", ".ac3", ".alac", ".amr", ".ape", ".dsf", ".m4a", ".m4b", ".mka", ".mkv", ".mp4", ".mpc", ".tta",
    ".weba", ".webm", ".wma", ".wv",
))
# fmt: on
"""Endings of files that libsndfile does not read and ffmpeg does."""

UNKNOWN_FORMAT = ("not recognised", "not a regular file", "unimplemented")
"""What libsndfile says of files that it cannot tell the format of."""
UNKNOWN_LENGTH = 1 << 62
STREAMED_BYTES = (1 << 31) - (1 << 20)
"""Chunk sizes from here on are what recorders write that do not know the length yet."""


@dataclass(frozen=True)
class Source:
    """An open file: its rate in Hz, the samples its header promises (0: unknown), and mono float32 blocks."""

    sample_rate: int
    samples: int
    blocks: Iterator[NDArray[np.float32]]


class QuietStderr:
    """Sends file descriptor 2 nowhere while C libraries write to it; nests, across threads too."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.saved = -1

    def __enter__(self) -> None:
        with self.lock:
            if self.depth == 0:
                try:
                    self.saved = os.dup(2)
                except OSError:  # no stderr to keep quiet
                    self.saved = -1
                else:
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, 2)
                    os.close(nowhere)
            self.depth += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0 and self.saved >= 0:
                os.dup2(self.saved, 2)
                os.close(self.saved)


quiet_stderr = QuietStderr()


def decode_blocks(path: Path | str, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Decode a file to mono blocks, holding a few seconds of it at a time.

    Args:
        path: Audio file.
        sample_rate: Rate of the blocks, in Hz.

    Yields:
        Blocks (samples,), float32, of varying length above 0.

    Raises:
        DecodeError: As `path: kind: detail`, if the file is missing, no file, unreadable, empty, not audio,
            truncated, damaged, holds samples that are not finite or far from [-1, 1], or needs ffmpeg where
            there is none. A file found truncated or damaged on the way raises after the blocks that came
            before.
    """
    path = Path(path)
    check_file(path)
    with contextlib.ExitStack() as stack:
        source = open_source(path, stack)
        rate = source.sample_rate
        if not RATES[0] <= rate <= RATES[1]:
            raise DecodeError(f"{path}: damaged: {rate} Hz is outside {RATES[0]} to {RATES[1]} Hz")
        resampler = None
        if rate != sample_rate:
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        samples = 0
        for block in source.blocks:
            check_samples(path, block)
            samples += len(block)
            resampled = block if resampler is None else resampler.resample_chunk(block)
            if len(resampled):
                yield resampled
        if source.samples - samples > MISSING_SECONDS * rate:
            found = f"{samples / rate:.2f} s of {source.samples / rate:.2f} s"
            raise DecodeError(f"{path}: truncated: {found} are there")
        if samples == 0:
            raise DecodeError(f"{path}: empty: no samples")
        if resampler is not None:
            rest = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            if len(rest):
                yield rest


def decode(path: Path | str, sample_rate: int) -> NDArray[np.float32]:
    """Decode a whole file to mono samples (samples,), float32, at `sample_rate` Hz.

    Raises:
        DecodeError: As for `decode_blocks`.
    """
    blocks = list(decode_blocks(path, sample_rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def decoder_versions() -> dict[str, str]:
    """Return the versions of what decodes and resamples here; `"ffmpeg"` is empty where there is none."""
    return {
        "ffmpeg": ffmpeg_version(),
        "libsndfile": soundfile.__libsndfile_version__,
        "soundfile": soundfile.__version__,
        "soxr": soxr.__version__,
    }


def check_file(path: Path) -> None:
    """Refuse what is no regular file with bytes in it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DecodeError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DecodeError(f"{path}: unreadable: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "device or pipe"
        raise DecodeError(f"{path}: not a file: a {kind}")
    if status.st_size == 0:
        raise DecodeError(f"{path}: empty: 0 bytes")


def check_samples(path: Path, block: NDArray[np.float32]) -> None:
    """Refuse samples that are not finite, or that nobody scaled to [-1, 1]."""
    peak = max(float(block.max()), -float(block.min()))
    if not np.isfinite(peak):
        raise DecodeError(f"{path}: non-finite samples: NaN or infinity")
    if peak > LOUDEST:
        raise DecodeError(f"{path}: not scaled: samples reach {peak:.3g}, not [-1, 1]")


def open_source(path: Path, stack: contextlib.ExitStack) -> Source:
    """Open a file with soundfile, else with ffmpeg; `stack` closes it."""
    try:
        file = stack.enter_context(path.open("rb"))
    except OSError as error:
        raise DecodeError(f"{path}: unreadable: {error.strerror}") from None
    try:
        with quiet_stderr:  # a descriptor, not a name: the extension must not decide how it is read
            sound = stack.enter_context(soundfile.SoundFile(file.fileno(), closefd=False))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        return open_other(path, detail_of(error), stack)
    check_header(path, sound)
    samples = sound.frames if 0 < sound.frames < UNKNOWN_LENGTH else 0
    if sound.format == "MP3" and (counted := count_samples(path)) is not None:
        if counted - samples > MISSING_SECONDS * sound.samplerate:  # libsndfile would stop at its guess
            return open_other(path, "its header does not say how long it is", stack)
        samples = 0
    return Source(sound.samplerate, samples, read_blocks(path, sound))


def open_other(path: Path, complaint: str, stack: contextlib.ExitStack) -> Source:
    """Open with ffmpeg what soundfile refused with `complaint`."""
    if not ffmpeg_version():
        if path.suffix.lower() in FFMPEG_SUFFIXES:
            raise DecodeError(f"{path}: needs ffmpeg: {path.suffix} needs ffmpeg, which is not on PATH")
        if "how long" in complaint:
            raise DecodeError(f"{path}: needs ffmpeg: {complaint}; that needs ffmpeg, which is not on PATH")
        if not any(words in complaint for words in UNKNOWN_FORMAT):
            raise DecodeError(f"{path}: damaged: {complaint}")
        raise DecodeError(
            f"{path}: not audio: unknown format; if it is audio, it needs ffmpeg, which is not on PATH"
        )
    return Source(*open_ffmpeg(path, stack))


def read_blocks(path: Path, sound: Any) -> Iterator[NDArray[np.float32]]:
    """Read mono blocks until the file ends."""
    buffer = np.empty((max(BLOCK_VALUES // sound.channels, 1), sound.channels), dtype=np.float32)
    while True:
        try:
            with quiet_stderr:
                block = sound.read(len(buffer), out=buffer)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DecodeError(f"{path}: damaged: {detail_of(error)}") from None
        if not len(block):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            yield block[:, 0].copy() if sound.channels == 1 else block.mean(axis=1, dtype=np.float32)


def detail_of(error: Exception) -> str:
    """Return what libsndfile says, without the preamble."""
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def check_header(path: Path, sound: Any) -> None:
    """Refuse a file that ends inside what its container announces, of which libsndfile says nothing."""
    announced = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if announced and int(announced[2]) < int(announced[1]) < STREAMED_BYTES:
        raise DecodeError(f"{path}: truncated: {announced[2]} of {announced[1]} bytes of samples are there")
    if sound.format == "OGG" and (missing := ogg_bytes_missing(path)):
        raise DecodeError(f"{path}: truncated: the last Ogg page lacks {missing} bytes")


def ogg_bytes_missing(path: Path) -> int:
    """Return how many bytes of an Ogg file's last page lie beyond its end.

    Source: RFC 3533, section 6.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 70_000, 0))  # a page has 65,307 bytes at most
        tail = file.read()
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return 0
    if start + 27 > len(tail):
        return start + 27 - len(tail)
    lengths = tail[start + 27 : start + 27 + tail[start + 26]]
    return max(start + 27 + tail[start + 26] + sum(lengths) - len(tail), 0)
