"""Songs joined end to end in one file: where each link begins and ends, and how long it says it is.

Ogg files are made to be joined (a chain), FLAC files are joined by people; each link has its own rate and channels,
Ogg's even its own codec. A decoder that takes the file for one stream stops at the first seam or stumbles there.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["flac_links", "ogg_links"]

HEADER = struct.Struct("<4sBBqIIIB")
MARKER = b"fLaC"
BEGINS = 2
"""Bit of a page's flags: the first page of a stream."""
LATE_SECONDS = 5.0
"""A first page that ends later than this belongs to a recording that began in the middle of a stream."""


class Link(NamedTuple):
    """One link: its bytes [start, end), and the seconds that its pages count (None: unknown)."""

    start: int
    end: int
    seconds: float | None


def flac_links(path: Path) -> list[Link]:
    """Return the links of a FLAC file; how long they are, their own headers tell.

    Raises:
        OSError: If the file cannot be read.

    Source: RFC 9639, sections 6 and 8.2: the marker, then the 34 bytes of the STREAMINFO block.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        starts, place = [0], raw.find(MARKER)
        while (place := raw.find(MARKER, place + 1)) > 0:
            if raw[place + 4 : place + 8] in (b"\0\0\0\x22", b"\x80\0\0\x22"):
                starts.append(place)
        return [Link(start, end, None) for start, end in zip(starts, [*starts[1:], len(raw)], strict=True)]


class Page(NamedTuple):
    """One page: its place, its flags, the samples up to its end (-1: no packet ends in it), whose it is."""

    start: int
    end: int
    flags: int
    granule: int
    serial: int
    head: bytes


def ogg_links(path: Path) -> tuple[list[Link], int]:
    """Read the pages of an Ogg file.

    Args:
        path: File that begins with an Ogg page, or with a tag before it.

    Returns:
        The links, in order, and how many bytes of the last page lie beyond the end of the file.

    Raises:
        OSError: If the file cannot be read.

    Source: RFC 3533, section 6; RFC 7845, section 4; the Vorbis I specification, appendix A.
    """
    groups: list[list[Page]] = []
    beginning = False
    last = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        size = len(raw)
        for page in read_pages(raw):
            begins = bool(page.flags & BEGINS)
            if not groups or (begins and not beginning):
                groups.append([])
            beginning = begins
            groups[-1].append(page)
            last = page.end
    starts = [group[0].start for group in groups]
    ends = [*starts[1:], size]
    links = [
        Link(start, end, seconds_of(group)) for start, end, group in zip(starts, ends, groups, strict=True)
    ]
    return links, max(last - size, 0)


def read_pages(raw: mmap.mmap) -> Iterator[Page]:
    """Yield the pages; bytes between them are passed over."""
    place = raw.find(b"OggS\0")
    while place >= 0:
        if place + HEADER.size > len(raw):
            yield Page(place, place + HEADER.size, 0, -1, -1, b"")
            return
        _, _, flags, granule, serial, _, _, segments = HEADER.unpack_from(raw, place)
        body = place + HEADER.size + segments
        end = body + sum(raw[place + HEADER.size : body])
        yield Page(place, end, flags, granule, serial, raw[body : min(body + 64, end)])
        # A page that lost some of its bytes reaches over the one after it.
        place = end if raw[end : end + 5] == b"OggS\0" else raw.find(b"OggS\0", place + 1)


def seconds_of(pages: list[Page]) -> float | None:
    """Return the seconds that the pages of a link's audio count; None without one audio stream."""
    streams = [(page.serial, *told) for page in pages if page.flags & BEGINS and (told := rate_of(page.head))]
    if len(streams) != 1:
        return None
    ((serial, rate, skipped),) = streams
    granules = [page.granule for page in pages if page.serial == serial and page.granule > 0]
    if not granules or not rate:
        return None
    first = granules[0] if granules[0] > LATE_SECONDS * rate else skipped
    return max(granules[-1] - first, 0) / rate


def rate_of(head: bytes) -> tuple[int, int] | None:
    """Return the rate of a stream's granules, in Hz, and the samples to skip at its start; None if no audio."""
    if head.startswith(b"OpusHead") and len(head) >= 12:
        return 48_000, int.from_bytes(head[10:12], "little")
    if head.startswith(b"\x01vorbis") and len(head) >= 16:
        return int.from_bytes(head[12:16], "little"), 0
    if head.startswith(b"Speex   ") and len(head) >= 40:
        return int.from_bytes(head[36:40], "little"), 0
    if head.startswith(b"\x7fFLAC") and len(head) >= 30:
        return int.from_bytes(head[27:30], "big") >> 4, 0
    return None
