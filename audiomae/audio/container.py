"""One input is one file: its container opened, its one audio stream read packet by packet.

FFmpeg's libraries come with PyAV's wheel. They also know playlists, scripts and manifests that name other
files; here only real containers are opened (`CONTAINERS`), whatever a file's name says, and nothing but the bytes
that were opened can be read.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import av

from audiomae.errors import DecodeError

__all__ = ["ENDINGS", "PacketReader", "Part", "open_container"]

# fmt: off
CONTAINERS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "avr", "caf", "dsf", "dts", "dtshd",
    "eac3", "flac", "flv", "iff", "ircam", "loas", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "mpc",
    "mpc8", "nistsphere", "ogg", "oma", "paf", "pvf", "rm", "shn", "tak", "truehd", "tta", "voc", "w64", "wav",
    "wsd", "wv", "xwma",
)
"""FFmpeg's names of the containers that are opened: each holds its audio itself."""
ENDINGS = frozenset((
    ".3g2", ".3gp", ".8svx", ".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape", ".au",
    ".avi", ".avr", ".awb", ".caf", ".dsf", ".dts", ".dtshd", ".eac3", ".ec3", ".flac", ".flv", ".iff", ".ircam",
    ".loas", ".m4a", ".m4b", ".m4r", ".mka", ".mkv", ".mlp", ".mov", ".mp+", ".mp1", ".mp2", ".mp3", ".mp4",
    ".mpa", ".mpc", ".mpga", ".mpp", ".nist", ".oga", ".ogg", ".ogv", ".ogx", ".oma", ".opus", ".paf", ".pvf",
    ".ra", ".rf64", ".rm", ".sf", ".shn", ".snd", ".sph", ".spx", ".tak", ".thd", ".tta", ".voc", ".w64", ".wav",
    ".wave", ".weba", ".webm", ".wma", ".wsd", ".wv", ".xwma",
))
"""Endings, in lower case, that files in these containers have."""
MAGIC = (
    b"RIFF", b"RF64", b"BW64", b"FORM", b"fLaC", b"OggS", b"ID3", b"caff", b"\x1aE\xdf\xa3", b"0&\xb2u", b"wvpk",
    b"MAC ", b"TTA1", b".snd", b"#!AMR", b"DSD ", b"MPCK", b"MP+", b"tBaK", b".RMF", b"riff", b"FLV", b"Creative Voice",
)
# fmt: on
"""How files of these containers begin: one that does and cannot be opened is damaged, not something else."""
CHECKED = frozenset(("ape", "flac", "tak", "tta", "wavpack"))
"""Lossless codecs, whose packets carry a checksum; one that does not fit is a packet lost, not noise to keep."""
BUFFER_BYTES = 1 << 17
TRIES = 100
"""Faults in a row, no packet between them, after which a container is given up."""


class Part(io.RawIOBase):
    """The bytes [start, end) of an open file, as a file of its own, without a name."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.file, self.start, self.end = file, start, end
        self.place = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.end - self.start}[whence]
        self.place = max(origin + offset, 0)
        return self.place

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        left = self.end - self.start - self.place
        if left <= 0:  # a damaged header may lead anywhere
            return b""
        self.file.seek(self.start + self.place)
        raw = self.file.read(left if size < 0 else min(size, left))
        self.place += len(raw)
        return raw


@contextlib.contextmanager
def open_container(name: str, part: Part) -> Iterator[Any]:
    """Open a container.

    Args:
        name: What the song is called in errors.
        part: Its bytes.

    Yields:
        PyAV's container, which has at least one audio stream that can be decoded.

    Raises:
        DecodeError: If the bytes are no container that is read here, damaged, or without audio.
        OSError: If the bytes cannot be read.
    """
    options = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "none"}
    try:
        container: Any = av.open(
            part, mode="r", options=options, buffer_size=BUFFER_BYTES, metadata_errors="replace"
        )
    except MemoryError:
        raise DecodeError(f"{name}: no memory: opening it takes more than there is") from None
    except (av.FFmpegError, ValueError) as error:
        part.seek(0)
        head = part.read(16)
        if head.startswith(MAGIC) or head[4:8] == b"ftyp":
            raise DecodeError(f"{name}: damaged: {said(error)}") from None
        raise DecodeError(f"{name}: not audio: no container of audio") from None
    with container:
        if container.format.name not in CONTAINERS:
            raise DecodeError(f"{name}: not audio: no container of audio")
        if not any(stream.codec_context for stream in container.streams.audio):
            raise DecodeError(
                f"{name}: not audio: {container.format.name.partition(',')[0]} without a sound track"
            )
        yield container


def said(error: Exception) -> str:
    """Return what FFmpeg says, without the name of the file or function."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


@dataclass
class PacketReader:
    """Reads the frames of a container's best audio stream, and counts what cannot be decoded.

    Attributes:
        container: PyAV's container.
        stream: Its audio stream.
        packets: Packets read.
        skipped: Packets that could not be decoded and were followed by some that could.
        skipped_bytes: Their bytes.
        good_bytes: Bytes of the packets that could.
        tail: Packets at the end, after the last good one, that are no audio (padding, tags).
        first_place: Where the first packet lies in the file, in bytes; None if the container does not say.
        first_samples: Samples of the first frame; 0 before it.
    """

    container: Any
    packets: int = 0
    skipped: int = 0
    skipped_bytes: int = 0
    good_bytes: int = 0
    tail: int = 0
    tail_bytes: int = 0
    first_place: int | None = None
    first_samples: int = 0

    def __post_init__(self) -> None:
        streams = [stream for stream in self.container.streams.audio if stream.codec_context]
        best = self.container.streams.best("audio")
        self.stream: Any = best if best in streams else streams[0]
        context = self.stream.codec_context
        context.thread_count = 1
        self.checked = context.codec.name in CHECKED
        if self.checked:  # one packet, one frame or more
            context.options = {"err_detect": "crccheck+explode"}

    def frames(self) -> Iterator[Any]:
        """Yield the frames, in order.

        Raises:
            OSError: If the file cannot be read on.
            MemoryError: If there is none left.
        """
        for packet in itertools.chain(self.read_packets(), [None]):  # None: what the decoder still holds
            try:
                frames = self.stream.decode(packet)
            except (av.FFmpegError, ValueError):
                frames = None
            if frames is None or (not frames and packet is not None and self.checked):
                self.tail += packet is not None
                self.tail_bytes += packet.size if packet else 0
                continue
            if frames:
                self.skipped, self.skipped_bytes = (
                    self.skipped + self.tail,
                    self.skipped_bytes + self.tail_bytes,
                )
                self.tail = self.tail_bytes = 0
                self.first_samples = self.first_samples or frames[0].samples
            self.good_bytes += packet.size if packet else 0
            yield from frames

    def read_packets(self) -> Iterator[Any]:
        """Yield the packets; a fault of the container counts as one packet that cannot be decoded."""
        faults = 0
        while faults < TRIES:
            try:
                for packet in self.container.demux(self.stream):
                    if not packet.size:  # would end the decoder's work
                        continue
                    faults = 0
                    self.packets += 1
                    if self.first_place is None and packet.pos is not None:
                        self.first_place = packet.pos
                    yield packet
                return
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                faults += 1
                self.tail += 1
