from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiomae.audio.container import Part
from audiomae.audio.decode import decode, decode_blocks, decoder_versions
from audiomae.errors import DecodeError

FORMATS = [("wav", "WAV", None), ("flac", "FLAC", None), ("mp3", "MP3", None), ("ogg", "OGG", "VORBIS")]
FORMATS += [("opus", "OGG", "OPUS"), ("aiff", "AIFF", None)]


def tone(seconds: float, sample_rate: int, hertz: float = 440.0) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)).astype(
        "f4"
    )


def write(path: Path, samples: NDArray[np.float32], rate: int, kind: str, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, format=kind, subtype=subtype)
    return path


def reason(path: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(path, 16_000)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(("suffix", "kind", "subtype"), FORMATS)
def test_every_format_gives_the_tone_that_was_written(tmp_path, suffix, kind, subtype):
    rate = 48_000 if subtype == "OPUS" else 44_100
    stereo = np.stack([tone(3, rate), tone(3, rate)], axis=1)
    samples = decode(write(tmp_path / f"a.{suffix}", stereo, rate, kind, subtype), 16_000)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(48_000, abs=2)
    middle = samples[8_000:40_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() / len(middle) * 16_000 == pytest.approx(440, abs=0.6)
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (16_000, 1), (22_050, 3), (96_000, 6), (192_000, 2)]
)
def test_any_rate_and_number_of_channels_becomes_mono_at_the_asked_rate(tmp_path, rate, channels):
    sound = np.stack([tone(2, rate)] + [np.zeros(2 * rate, np.float32)] * (channels - 1), axis=1)
    samples = decode(write(tmp_path / "a.wav", sound, rate, "WAV", "FLOAT"), 16_000)
    assert len(samples) == pytest.approx(32_000, abs=1)
    np.testing.assert_allclose(samples[4_000:28_000], tone(2, 16_000)[4_000:28_000] / channels, atol=2e-3)


def test_samples_at_the_asked_rate_are_left_as_they_are(tmp_path):
    samples = tone(1, 16_000)
    assert np.array_equal(decode(write(tmp_path / "a.wav", samples, 16_000, "WAV", "FLOAT"), 16_000), samples)


def test_blocks_are_short_and_together_make_the_whole(tmp_path):
    path = write(tmp_path / "a.flac", tone(60, 44_100), 44_100, "FLAC")
    blocks = list(decode_blocks(path, 16_000))
    assert len(blocks) > 5
    assert max(map(len, blocks)) < 16_000 * 10
    assert np.array_equal(np.concatenate(blocks), decode(path, 16_000))


def test_a_tone_above_half_the_new_rate_does_not_fold_back(tmp_path):
    path = write(tmp_path / "a.wav", tone(2, 44_100, hertz=12_000), 44_100, "WAV", "FLOAT")
    assert np.abs(decode(path, 16_000)[2_000:-2_000]).max() < 1e-3


def test_the_extension_does_not_decide_how_a_file_is_read(tmp_path):
    for name in ("a.mp3", "a.raw", "a.txt", "a"):
        path = write(tmp_path / name, tone(1, 16_000), 16_000, "WAV")
        assert len(decode(path, 16_000)) == 16_000


def test_what_is_no_audio_file_says_why(tmp_path):
    assert reason(tmp_path / "gone.wav") == "no such file"
    (tmp_path / "folder.wav").mkdir()
    assert reason(tmp_path / "folder.wav") == "not a file: a folder"
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason(tmp_path / "pipe.wav") == "not a file: a device or pipe"
    (tmp_path / "empty.ogg").touch()
    assert reason(tmp_path / "empty.ogg") == "empty: 0 bytes"
    (tmp_path / "text.mp3").write_text("this is a letter\n" * 50)
    assert reason(tmp_path / "text.mp3").startswith("not audio: ")
    write(tmp_path / "none.wav", np.zeros(0, np.float32), 16_000, "WAV")
    assert reason(tmp_path / "none.wav") == "empty: no samples"


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone(1, 16_000), 16_000, "WAV")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no mode bits stop
    assert reason(path) == "unreadable: Permission denied"


def test_a_disk_that_fails_in_the_middle_of_a_song_is_no_damaged_song(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone(60, 16_000), 16_000, "WAV")
    read, reads = Part.read, []

    def fail(self, size=-1):
        reads.append(size)
        if len(reads) > 5:
            raise OSError(5, "Input/output error")
        return read(self, size)

    monkeypatch.setattr(Part, "read", fail)
    assert reason(path) == "unreadable: Input/output error"


def test_a_song_above_the_limit_is_refused_by_its_header_or_as_it_passes_it(tmp_path):
    path = write(tmp_path / "a.flac", np.zeros(600 * 8_000, np.float32), 8_000, "FLAC")
    blocks = decode_blocks(path, 16_000, most_seconds=300)
    with pytest.raises(DecodeError, match=r"too long: 0\.17 h or more is above 0\.0833333 h$"):
        next(blocks)
    raw = bytearray(path.read_bytes())
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)  # written to a pipe: the header does not say how long it is
    path.write_bytes(raw)
    passed = []
    with pytest.raises(DecodeError, match=r"too long: 0\.0[89] h or more is above 0\.0833333 h$"):
        passed.extend(decode_blocks(path, 8_000, most_seconds=300))
    assert sum(map(len, passed)) <= 300 * 8_000


@pytest.mark.parametrize(("suffix", "kind", "subtype"), FORMATS)
def test_a_file_cut_in_half_is_truncated_not_half_a_song(tmp_path, suffix, kind, subtype):
    path = write(tmp_path / f"a.{suffix}", tone(6, 48_000), 48_000, kind, subtype)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 5])
    assert reason(path).partition(":")[0] in ("truncated", "damaged")


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_an_ogg_file_that_ends_with_a_page_is_whole(tmp_path, suffix):
    path = write(tmp_path / "a.ogg", tone(2, 48_000), 48_000, "OGG", "OPUS" if suffix == "opus" else "VORBIS")
    # FFmpeg trims a Vorbis stream of a single page by its padding at the wrong end; real songs have many pages.
    assert len(decode(path, 16_000)) == pytest.approx(32_000, abs=64)


def test_a_wav_whose_recorder_did_not_know_its_length_is_whole(tmp_path):
    path = write(tmp_path / "a.wav", tone(1, 16_000), 16_000, "WAV", "PCM_16")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"data")
    raw[4:8] = raw[place + 4 : place + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert len(decode(path, 16_000)) == 16_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, value):
    samples = tone(1, 16_000)
    samples[9_000] = value
    assert (
        reason(write(tmp_path / "a.wav", samples, 16_000, "WAV", "FLOAT"))
        == "non-finite samples: NaN or infinity"
    )


def test_samples_that_nobody_scaled_are_refused(tmp_path):
    path = write(tmp_path / "a.wav", tone(1, 16_000) * 32_768, 16_000, "WAV", "FLOAT")
    assert reason(path) == "not scaled: samples reach 1.64e+04, not [-1, 1]"


def test_a_sample_rate_that_only_a_flipped_bit_makes_is_refused(tmp_path):
    path = write(tmp_path / "a.wav", tone(1, 16_000), 16_000, "WAV")
    raw = bytearray(path.read_bytes())
    raw[24:28] = (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(raw)
    assert reason(path) == "damaged: 2000000000 Hz is outside 1000 to 768000 Hz"


def test_what_the_decoder_prints_does_not_reach_the_terminal(tmp_path, capfd):
    path = write(tmp_path / "a.mp3", tone(6, 44_100), 44_100, "MP3")
    path.write_bytes(path.read_bytes()[:5_000])
    soundfile.read(path)
    assert "Xing stream size" in capfd.readouterr().err  # else the next lines show nothing
    assert reason(path).startswith("truncated: ")
    assert capfd.readouterr().err == ""


def test_the_versions_of_what_decodes_are_known():
    versions = decoder_versions()
    assert set(versions) == {"av", "libavcodec", "libavformat", "soxr"}
    assert all(version[0].isdigit() for version in versions.values())
