"""How long a file says it is: only what its header counts, never a guess from its size."""

from __future__ import annotations

from typing import Any

from audiomae.audio.container import PacketReader, Part

__all__ = ["missing_bytes", "promised_seconds"]

COUNTED = frozenset((
    "aiff", "ape", "asf", "au", "avr", "caf", "dsf", "flac", "iff", "mov,mp4,m4a,3gp,3g2,mj2", "rm", "tak", "tta",
    "w64", "wav", "wsd", "wv",
))  # fmt: skip
"""Containers whose stream says how long it is, in samples or ticks."""
WHOLE = frozenset(("flv", "matroska,webm"))
"""Containers that say how long the longest of their streams is."""
STREAMED_BYTES = (1 << 31) - (1 << 20)
"""Chunk sizes from here on are what recorders write that do not know the length yet."""
REACH = 3_000
"""Bytes before an MP3's first packet that hold its header frame."""
SIDES = (36, 38, 21, 23, 13, 15)
"""Bytes from a frame's first to its Xing header, by version and channels, without and with a checksum."""


def promised_seconds(reader: PacketReader, part: Part) -> float | None:
    """Return the seconds that the container promises of its audio, once a packet has been read; None for unknown.

    MP3 files say it in a Xing, Info or VBRI frame or not at all; bare AAC, AC-3 and AMR never do.
    """
    container, stream = reader.container, reader.stream
    name = container.format.name
    if name == "mp3":
        return xing_seconds(reader, part)
    if name in COUNTED and stream.duration:
        return float(stream.duration * stream.time_base)
    if name not in WHOLE:
        return None
    told = clock_seconds(stream.metadata.get("DURATION", ""))
    alone = all(other.index == stream.index or is_picture(other) for other in container.streams)
    if told is None and alone and container.duration:
        told = container.duration / 1e6
    return told


def is_picture(stream: Any) -> bool:
    """Return whether a stream is a cover or a font: something that takes no time."""
    return (
        stream.type in ("attachment", "data")
        or "ATTACHED_PIC" in str(getattr(stream, "disposition", "")).upper()
    )


def clock_seconds(text: str) -> float | None:
    """Return the seconds of `HH:MM:SS.fraction`; None if it is something else.

    Example:
        >>> clock_seconds("00:01:02.500000000"), clock_seconds("soon")
        (62.5, None)
    """
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def xing_seconds(reader: PacketReader, part: Part) -> float | None:
    """Return the seconds that an MP3's header frame counts; None where there is none, or it counts 0.

    Source: the frames that Xing's and LAME's encoders write first, and Fraunhofer's VBRI.
    """
    place, rate = reader.first_place or 0, reader.stream.codec_context.sample_rate
    start = max(place - REACH, 0)
    part.seek(start)
    head = part.read(place - start)
    for name in (b"Xing", b"Info", b"VBRI"):
        at = head.rfind(name)
        sides = SIDES if name != b"VBRI" else (36,)
        if at < 0 or not any(is_frame(head, at - side) for side in sides):
            continue
        if name == b"VBRI":
            frames = int.from_bytes(head[at + 14 : at + 18], "big")
        elif head[at + 7 : at + 8] and head[at + 7] & 1:
            frames = int.from_bytes(head[at + 8 : at + 12], "big")
        else:
            frames = 0
        if frames and rate:
            return frames * (1152 if rate >= 32_000 else 576) / int(rate)
    return None


def is_frame(head: bytes, place: int) -> bool:
    """Return whether a frame of MPEG audio begins at a place."""
    return place >= 0 and head[place] == 0xFF and head[place + 1] & 0xE0 == 0xE0


def missing_bytes(reader: PacketReader, part: Part) -> tuple[int, int]:
    """Return how many bytes of samples the file lacks, and how many its header announces; (0, 0) if it does not say.

    FFmpeg takes WAV, W64 and CAF files that end early for shorter ones; the chunk of samples tells.
    """
    place, name = reader.first_place or 0, reader.container.format.name
    part.seek(max(place - 24, 0))
    head = part.read(min(place, 24))
    announced = 0
    if name == "wav" and head[-8:-4] == b"data":
        announced = int.from_bytes(head[-4:], "little")
        announced = announced if announced < STREAMED_BYTES else 0
    elif name == "w64" and head[:4] == b"data":
        announced = int.from_bytes(head[16:24], "little") - 24
    elif name == "caf" and head[-16:-12] == b"data":
        announced = int.from_bytes(head[-12:-4], "big", signed=True) - 4
    missing = place + announced - (part.end - part.start)
    return (missing, announced) if announced > 0 and missing > 0 else (0, 0)
