from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.decode import decode
from audiomae.audio.mp3 import count_samples
from audiomae.errors import DecodeError

RATE = 44_100


def write(path: Path, mode: str, rate: int = RATE) -> bytes:
    """Write noise, silence, noise: a file whose frames differ in size where the encoder may let them."""
    samples = np.random.default_rng(0).normal(0, 0.1, 8 * rate)
    samples[: 4 * rate] = 0
    soundfile.write(path, samples, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return path.read_bytes()


def without_header(raw: bytes) -> bytes:
    """Drop the first frame, which says how long the file is."""
    return raw[raw.index(raw[:2], 100) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [44_100, 24_000, 8_000])
def test_samples_are_counted_frame_by_frame_where_no_header_tells(tmp_path, mode, rate):
    path = tmp_path / "a.mp3"
    raw = write(path, mode, rate)
    assert count_samples(path) is None
    path.write_bytes(without_header(raw))
    counted = count_samples(path)
    assert counted is not None
    # The encoder adds its delay and fills the last frame.
    assert 0 <= counted - 8 * rate <= 3 * 1152


@pytest.mark.parametrize(
    "around", [(b"", b"TAG" + bytes(125)), (b"ID3\3\0\0\0\0\1\0" + bytes(128), b""), (bytes(999), b"")]
)
def test_tags_around_the_frames_are_not_counted(tmp_path, around):
    path = tmp_path / "a.mp3"
    raw = without_header(write(path, "CONSTANT"))
    path.write_bytes(raw)
    alone = count_samples(path)
    path.write_bytes(around[0] + raw + around[1])
    assert count_samples(path) == alone


@pytest.mark.parametrize("raw", [b"", b"ID3", b"\xff", b"\xff\xfb\x90\x00", bytes(5000), b"\xff" * 5000])
def test_what_holds_no_frames_has_no_count(tmp_path, raw):
    (tmp_path / "a").write_bytes(raw)
    assert count_samples(tmp_path / "a") is None


def test_a_constant_rate_without_a_header_is_whole_though_the_guess_is_too_long(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_header(write(path, "CONSTANT")) * 60)
    with soundfile.SoundFile(path) as sound:
        guess = sound.frames
    seconds = len(decode(path, 16_000)) / 16_000
    assert seconds == pytest.approx(480, abs=5)
    assert guess / RATE - seconds > 0.2


def test_a_variable_rate_without_a_header_is_not_cut_short_in_silence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "a.mp3"
    raw = without_header(write(path, "VARIABLE"))
    reverse = len(raw) // 2
    path.write_bytes(
        raw[raw.index(raw[:2], reverse) :] + raw
    )  # a loud start: libsndfile's guess is too short
    with soundfile.SoundFile(path) as sound:
        assert sound.frames < (count_samples(path) or 0) - RATE // 2
    with pytest.raises(
        DecodeError, match="needs ffmpeg: its header does not say how long it is; that needs ffmpeg, which"
    ):
        decode(path, 16_000)
