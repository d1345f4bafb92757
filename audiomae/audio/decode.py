"""From an audio file to mono samples at one rate, in blocks, so that hours fit in little memory.

FFmpeg's libraries, which come with PyAV, read every format; the channels become one (`audio/downmix.py`), then
soxr (HQ) resamples. The same file always gives the same samples. What cannot be decoded is skipped and counted,
and what was decoded is compared with what the header promises, so nothing is shortened in silence.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import soxr

from audiomae.audio.container import PacketReader, Part, open_container
from audiomae.audio.frames import Block, gather
from audiomae.audio.links import flac_links, ogg_links
from audiomae.audio.promises import missing_bytes, promised_seconds
from audiomae.errors import DecodeError

__all__ = ["LOUDEST", "decode", "decode_blocks", "decoder_versions"]

LOUDEST = 100.0
"""Largest sample magnitude that still passes for audio scaled to [-1, 1]."""
MISSING_SECONDS = 0.2
"""Audio that may lack of what a header promises before the file counts as truncated or damaged."""
TOLD_SECONDS, TOLD_LOSSLESS = 0.1, 0.005
"""Difference from what a header promises from which on it is noted; lossless files count to the sample."""
DAMAGED_SHARE = 0.1
"""Share of the bytes that may be no audio, between packets that are, where no header says how long the song is."""


class Decoding:
    """One pass over a file: what has come out of it so far, and what is to be said of it.

    Attributes:
        name: What the song is called in errors.
        sample_rate: Rate of the blocks, in Hz.
        most_seconds: Longest song, in seconds.
        notes: What differs from what the file promises, and is no reason to refuse it.
        seconds: Seconds decoded.
    """

    def __init__(self, name: str, sample_rate: int, most_seconds: float, notes: list[str]) -> None:
        self.name, self.sample_rate, self.most_seconds, self.notes = name, sample_rate, most_seconds, notes
        self.seconds = 0.0
        self.promised: float | None = None
        self.rate = 0
        self.resampler: Any = None

    def blocks(self, path: Path, file: BinaryIO) -> Iterator[Block]:
        """Yield the blocks of a file."""
        size = path.stat().st_size
        with open_container(self.name, Part(file, 0, size)) as container:
            kind = container.format.name
            if kind not in ("flac", "ogg"):
                yield from self.read(PacketReader(container), Part(file, 0, size))
                yield from self.flush()
                return
        links, missing = ogg_links(path) if kind == "ogg" else (flac_links(path), 0)
        if missing:
            raise DecodeError(f"{self.name}: truncated: the last Ogg page lacks {missing} bytes")
        for link in links:
            part = Part(file, link.start, link.end)
            with open_container(self.name, part) as container:
                yield from self.read(PacketReader(container), part, link.seconds)
        yield from self.flush()

    def read(self, reader: PacketReader, part: Part, told: float | None = None) -> Iterator[Block]:
        """Yield the blocks of one container (`told`: the seconds it has), and judge at its end if it was whole."""
        before = self.seconds
        promised = told
        for number, (rate, block) in enumerate(gather(self.name, reader)):
            if not number:
                promised = told if told is not None else promised_seconds(reader, part)
                if promised and before + promised > self.most_seconds:
                    raise self.too_long(before + promised)
            check_samples(self.name, block)
            self.seconds += len(block) / rate
            if self.seconds > self.most_seconds:
                raise self.too_long(self.seconds)
            yield from self.resample(rate, block)
        self.judge(reader, part, self.seconds - before, promised)

    def too_long(self, seconds: float) -> DecodeError:
        """Return the error of a song above the limit."""
        return DecodeError(
            f"{self.name}: too long: {seconds / 3600:.2f} h or more is above {self.most_seconds / 3600:g} h"
        )

    def resample(self, rate: int, block: Block) -> Iterator[Block]:
        """Yield what the resampler makes of a block; a new rate takes a new resampler."""
        if rate != self.rate:
            yield from self.flush()
            self.rate = rate
            if rate != self.sample_rate:
                self.resampler = soxr.ResampleStream(rate, self.sample_rate, 1, dtype="float32", quality="HQ")
        resampled = block if self.resampler is None else self.resampler.resample_chunk(block)
        if len(resampled):
            yield resampled

    def flush(self) -> Iterator[Block]:
        """Yield what the resampler still holds."""
        if self.resampler is not None:
            rest = self.resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            self.resampler = None
            if len(rest):
                yield rest

    def judge(self, reader: PacketReader, part: Part, seconds: float, promised: float | None) -> None:
        """Refuse a container that is not whole; note what else is odd."""
        name = self.name
        lost = f"{reader.skipped} of {reader.packets} packets cannot be decoded"
        if seconds == 0:
            raise DecodeError(f"{name}: {'damaged: ' + lost if reader.tail else 'empty: no samples'}")
        missing, announced = missing_bytes(reader, part)
        if missing > announced * TOLD_SECONDS / (seconds + TOLD_SECONDS):
            there = announced - missing
            raise DecodeError(f"{name}: truncated: {there} of {announced} bytes of samples are there")
        if promised is not None and promised - seconds > MISSING_SECONDS:
            found = f"{seconds:.2f} s of {promised:.2f} s are there"
            raise DecodeError(
                f"{name}: " + (f"damaged: {lost}; {found}" if reader.skipped else f"truncated: {found}")
            )
        if promised is None and reader.skipped_bytes > DAMAGED_SHARE * (
            reader.skipped_bytes + reader.good_bytes
        ):
            raise DecodeError(f"{name}: damaged: {lost}")
        if reader.skipped:
            self.notes.append(lost)
        if promised is not None and abs(promised - seconds) > (
            TOLD_LOSSLESS if reader.checked else TOLD_SECONDS
        ):
            self.notes.append(f"its header says {promised:.2f} s, {seconds:.2f} s are there")


def decode_blocks(
    path: Path | str, sample_rate: int, *, most_seconds: float = math.inf, notes: list[str] | None = None
) -> Iterator[Block]:
    """Decode a file to mono blocks, holding a few seconds of it at a time.

    Args:
        path: Audio file.
        sample_rate: Rate of the blocks, in Hz.
        most_seconds: Longest song, in seconds; a longer one is refused by its header, or as soon as it passes it.
        notes: Takes what is odd about a song that is read whole all the same: packets that could not be decoded
            and were skipped, a header that promises another length.

    Yields:
        Blocks (samples,), float32, of varying length above 0.

    Raises:
        DecodeError: As `path: kind: detail`, if the file is missing, no file, unreadable, empty, not audio,
            truncated, damaged, too long, or holds samples that are not finite or far from [-1, 1]. A file
            found truncated or damaged on the way raises after the blocks that came before.
    """
    path = Path(path)
    check_file(path)
    decoding = Decoding(str(path), sample_rate, most_seconds, [] if notes is None else notes)
    with reading(path), path.open("rb") as file:
        yield from decoding.blocks(path, file)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the disk or the memory refuses into a `DecodeError`."""
    try:
        yield
    except MemoryError:
        raise DecodeError(f"{path}: no memory: decoding it takes more than there is") from None
    except av.FFmpegError as error:
        raise DecodeError(f"{path}: damaged: {error.strerror or error}") from None
    except OSError as error:
        raise DecodeError(f"{path}: unreadable: {error.strerror or error}") from None


def decode(path: Path | str, sample_rate: int) -> Block:
    """Decode a whole file to mono samples (samples,), float32, at `sample_rate` Hz.

    Raises:
        DecodeError: As for `decode_blocks`.
    """
    blocks = list(decode_blocks(path, sample_rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def decoder_versions() -> dict[str, str]:
    """Return the versions of what decodes and resamples here."""
    libraries = {
        name: ".".join(map(str, av.library_versions[name])) for name in ("libavcodec", "libavformat")
    }
    return {"av": av.__version__, **libraries, "soxr": soxr.__version__}


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


def check_samples(name: str, block: Block) -> None:
    """Refuse samples that are not finite, or that nobody scaled to [-1, 1]."""
    peak = max(float(block.max()), -float(block.min()))
    if not np.isfinite(peak):
        raise DecodeError(f"{name}: non-finite samples: NaN or infinity")
    if peak > LOUDEST:
        raise DecodeError(f"{name}: not scaled: samples reach {peak:.3g}, not [-1, 1]")
