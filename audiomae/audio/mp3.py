"""How long an MP3 file is whose header does not say it: libsndfile guesses, and reads no further."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

__all__ = ["count_samples"]

KILOBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""Bit rates of layer III: of MPEG 2 and 2.5, and of MPEG 1."""
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


class Frame(NamedTuple):
    """What a frame's four bytes say: its bytes, samples a channel, and sample rate in Hz."""

    size: int
    samples: int
    sample_rate: int


def count_samples(path: Path) -> int | None:
    """Count the samples a channel of an MPEG layer III file, frame by frame.

    Args:
        path: File that libsndfile takes for MP3.

    Returns:
        The samples; None if the file says itself how many it has (a Xing, Info or VBRI header), or if no
        frames of layer III follow one another.

    Source: ISO/IEC 11172-3, section 2.4.1.3; the headers are those of LAME and of Fraunhofer.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            return count_in(raw)


def count_in(raw: mmap.mmap) -> int | None:
    """Do what `count_samples` says, on the file's bytes."""
    place = after_id3(raw)
    frame = None
    while place >= 0:
        frame = read_frame(raw, place)
        if frame is not None and read_frame(raw, place + frame.size) is not None:
            break
        place = raw.find(b"\xff", place + 1)
    if place < 0 or frame is None:
        return None
    if any(name in raw[place : place + frame.size] for name in (b"Xing", b"Info", b"VBRI")):
        return None
    samples, sample_rate = 0, frame.sample_rate
    while 0 <= place < len(raw):
        frame = read_frame(raw, place)
        if frame is None or frame.sample_rate != sample_rate:
            place = raw.find(b"\xff", place + 1)
            continue
        if place + frame.size > len(raw):
            break
        samples += frame.samples
        place += frame.size
    return samples


def after_id3(raw: mmap.mmap) -> int:
    """Return where an ID3v2 tag at the start ends; 0 without one."""
    if raw[:3] != b"ID3" or len(raw) < 10:
        return 0
    size = 0
    for byte in raw[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def read_frame(raw: mmap.mmap, place: int) -> Frame | None:
    """Read the frame header at `place`; None if there is none of layer III."""
    head = raw[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    sample_rate = RATES[version][rate]
    samples = 1152 if version == 3 else 576
    kilobits = KILOBITS[version == 3][bits]
    return Frame(samples * kilobits * 125 // sample_rate + (head[2] >> 1 & 1), samples, sample_rate)
