"""Files that are whole though their header, their end or their middle says otherwise."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiomae.audio.decode import decode, decode_blocks
from audiomae.errors import DecodeError

FORMATS = {"flac": ("FLAC", None), "mp3": ("MP3", None), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}


def sound(seconds: float, rate: int, channels: int = 2, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * rate), channels)).astype("f4")


def file_of(
    folder: Path, suffix: str, seconds: float, rate: int, *, channels: int = 2, seed: int = 0
) -> bytes:
    kind, subtype = FORMATS.get(suffix, (suffix.upper(), None))
    path = folder / f"part.{suffix}"
    soundfile.write(path, sound(seconds, rate, channels, seed), rate, format=kind, subtype=subtype)
    return path.read_bytes()


def read(folder: Path, raw: bytes, name: str = "song.mp3") -> tuple[float, list[str]]:
    path, notes = folder / name, list[str]()
    path.write_bytes(raw)
    return sum(map(len, decode_blocks(path, 16_000, notes=notes))) / 16_000, notes


def without_header(raw: bytes) -> bytes:
    """An MP3 without the frame that says how long it is."""
    place = max(raw.find(b"Xing", 0, 3_000), raw.find(b"Info", 0, 3_000))
    assert place > 0
    return raw[raw.index(b"\xff\xfb", place) :]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (24_000, 2), (24_000, 1), (48_000, 1)])
def test_two_songs_joined_in_a_file_are_both_read(tmp_path, suffix, rate, channels):
    first = file_of(tmp_path, suffix, 6, 48_000)
    second = file_of(tmp_path, suffix, 7, rate, channels=channels, seed=1)
    seconds, notes = read(tmp_path, first + second)
    assert seconds == pytest.approx(13, abs=0.1)
    assert all("its header says 6.0" in note for note in notes)


def test_a_chain_of_ogg_may_change_its_codec(tmp_path):
    chain = [file_of(tmp_path, "ogg", 4, 44_100), file_of(tmp_path, "opus", 5, 48_000, seed=1)]
    chain += [file_of(tmp_path, "ogg", 6, 8_000, channels=1, seed=2)]
    assert read(tmp_path, b"".join(chain))[0] == pytest.approx(15, abs=0.1)


def test_a_chain_of_ogg_that_ends_early_is_truncated(tmp_path):
    chain = file_of(tmp_path, "ogg", 4, 44_100) + file_of(tmp_path, "opus", 5, 48_000, seed=1)
    with pytest.raises(DecodeError, match="truncated: the last Ogg page lacks"):
        read(tmp_path, chain[:-9_000])


def test_pages_lost_in_the_middle_of_an_ogg_file_are_told(tmp_path):
    raw = file_of(tmp_path, "ogg", 20, 44_100)
    places = [place for place in range(len(raw) - 4) if raw[place : place + 4] == b"OggS"]
    assert len(places) > 10
    for start in (places[4], places[4] + 200):  # from one page to another; the last of them is cut open
        with pytest.raises(DecodeError, match=r"(truncated|damaged): .* s of 20\.00 s are there"):
            read(tmp_path, raw[:start] + raw[places[-3] :])


def test_a_header_that_leads_beyond_the_file_is_damage_not_a_disk_that_fails(tmp_path):
    raw = bytearray(file_of(tmp_path, "caf", 6, 44_100))
    place = raw.index(b"free")
    raw[place + 4 : place + 12] = (2**63 - 8).to_bytes(8, "big")
    with pytest.raises(DecodeError, match=r": (damaged|empty): "):
        read(tmp_path, bytes(raw), "a.caf")


@pytest.mark.parametrize(
    "tail",
    [
        b"TAG" + b"A title".ljust(125, b"\0"),
        bytes(20_000),
        b"LYRICSBEGIN"
        + b"IND00002"
        + b"10"
        + b"LYR"
        + b"%05d" % 400
        + b"la " * 133
        + b"x"
        + b"000436LYRICS200",
        b"APETAGEX"
        + struct.pack("<IIII", 2000, 60, 1, 0xA0000000)
        + bytes(8)
        + struct.pack("<II", 4, 0)
        + b"Title\0Song",
        b"ID3\x04\0\0\0\0\0\x7f" + bytes(127),
    ],
    ids=["id3v1", "zeros", "lyrics3", "apev2", "id3v2"],
)
@pytest.mark.parametrize("suffix", ["mp3", "mp3-without-header", "flac"])
def test_what_follows_the_last_frame_is_no_damage(tmp_path, suffix, tail):
    raw = file_of(tmp_path, suffix.partition("-")[0], 6, 44_100)
    raw = without_header(raw) if "-" in suffix else raw
    seconds, notes = read(tmp_path, raw + tail)
    assert seconds == pytest.approx(6, abs=0.1)
    assert notes == []


def test_a_flac_written_to_a_pipe_is_whole(tmp_path):
    raw = bytearray(file_of(tmp_path, "flac", 6, 44_100))
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)
    assert read(tmp_path, bytes(raw)) == (pytest.approx(6, abs=0.001), [])


def test_a_flac_that_says_too_few_samples_is_read_whole_and_told(tmp_path):
    raw = bytearray(file_of(tmp_path, "flac", 6, 44_100))
    raw[22:26] = (3 * 44_100).to_bytes(4, "big")
    assert read(tmp_path, bytes(raw)) == (
        pytest.approx(6, abs=0.001),
        ["its header says 3.00 s, 6.00 s are there"],
    )


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 6 * 44_100 * 4 + 16])
def test_a_wav_whose_header_does_not_know_its_size_is_whole(tmp_path, size):
    raw = bytearray(file_of(tmp_path, "wav", 6, 44_100))
    place = raw.index(b"data")
    raw[place + 4 : place + 8] = size.to_bytes(4, "little")
    assert read(tmp_path, bytes(raw), "a.wav")[0] == pytest.approx(6, abs=0.001)


def test_junk_in_the_middle_of_an_mp3_costs_no_sound_and_is_told(tmp_path):
    raw = without_header(file_of(tmp_path, "mp3", 12, 44_100))
    half = len(raw) // 2
    junk = np.random.default_rng(5).integers(0, 255, 2_000, dtype=np.uint8).tobytes()
    seconds, notes = read(tmp_path, raw[:half] + junk + raw[half:])
    assert seconds == pytest.approx(12, abs=0.15)
    assert len(notes) == 1
    assert notes[0].endswith(" packets cannot be decoded")


def test_an_mp3_that_is_mostly_junk_is_damaged(tmp_path):
    raw = without_header(file_of(tmp_path, "mp3", 12, 44_100))
    part = len(raw) // 3
    with pytest.raises(DecodeError, match=r"damaged: .* packets cannot be decoded"):
        read(tmp_path, raw[:part] + bytes(part) + raw[2 * part :])


def test_a_header_that_counts_no_frames_is_not_believed(tmp_path):
    raw = bytearray(file_of(tmp_path, "mp3", 6, 44_100))
    place = max(raw.find(b"Xing", 0, 3_000), raw.find(b"Info", 0, 3_000))
    raw[place + 8 : place + 12] = bytes(4)
    assert read(tmp_path, bytes(raw))[0] == pytest.approx(6, abs=0.1)


def test_a_flipped_bit_in_a_flac_is_told_and_many_are_damage(tmp_path):
    raw = bytearray(file_of(tmp_path, "flac", 12, 44_100))
    raw[len(raw) // 2] ^= 16
    seconds, notes = read(tmp_path, bytes(raw))
    assert seconds == pytest.approx(12, abs=0.1)
    assert notes == ["its header says 12.00 s, 11.91 s are there"]
    for place in range(20_000, len(raw), 20_000):
        raw[place] ^= 16
    with pytest.raises(DecodeError, match=r"(damaged|truncated): .* of 12\.00 s are there"):
        read(tmp_path, bytes(raw))


def test_opus_is_decoded_at_48_khz_whatever_rate_its_input_had(tmp_path):
    raw = file_of(tmp_path, "opus", 6, 48_000)
    place = raw.index(b"OpusHead") + 12
    other = raw[:place] + (11_025).to_bytes(4, "little") + raw[place + 4 :]
    path = tmp_path / "a.opus"
    path.write_bytes(raw)
    whole = decode(path, 16_000)
    path.write_bytes(with_checksum(other))
    assert np.array_equal(decode(path, 16_000), whole)


def with_checksum(raw: bytes) -> bytes:
    """The same Ogg file, the checksum of its first page made right."""
    end = 27 + raw[26] + sum(raw[27 : 27 + raw[26]])
    page = raw[:22] + bytes(4) + raw[26:end]
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1) ^ (0x104C11DB7 if checksum & 0x80000000 else 0)
    return raw[:22] + checksum.to_bytes(4, "little") + raw[26:]


def test_packets_out_of_order_in_time_are_no_damage(tmp_path):
    import av

    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=16_000)
        stream.layout = "mono"
        values = (sound(6, 16_000, 1)[:, 0] * 32767).astype("<i2")
        for start in range(0, len(values), 1_600):
            packet = av.Packet(values[start : start + 1_600].tobytes())
            packet.stream, packet.time_base = stream, Fraction(1, 16_000)
            packet.pts = packet.dts = start
            file.mux(packet)
    raw = bytearray(path.read_bytes())
    places = [place for place in range(len(raw) - 4) if raw[place] == 0xA3 and raw[place + 1] & 0xF0 == 0x40]
    assert len(places) >= 50
    for place in places[10:50:3]:  # a SimpleBlock's time within its cluster
        raw[place + 4 : place + 6] = (3).to_bytes(2, "big")
    assert read(tmp_path, bytes(raw), "b.mka") == (pytest.approx(6, abs=0.001), [])
