"""Two hundred files as disks, networks and people leave them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import Song

RATE = 24_000
FORMATS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", None)}
FORMATS |= {"ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
KINDS = {"damaged", "empty", "no such file", "non-finite samples", "not a file", "not audio"}
KINDS |= {"not scaled", "silent", "too long", "too short", "truncated", "unreadable", "duplicate"}


def music(seed: int, seconds: float = 5.5, rate: int = RATE, channels: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    steps = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * steps) for hertz in generator.uniform(100, 3_000, 5))
    sound = 0.1 * tones + generator.normal(0, 0.01, len(steps))
    return np.stack([sound] * channels, axis=1)


def encode(path: Path, samples: np.ndarray, rate: int = RATE, suffix: str = "") -> bytes:
    kind, subtype = FORMATS[suffix or path.suffix[1:]]
    soundfile.write(path, samples, rate, format=kind, subtype=subtype)
    return path.read_bytes()


def flip(raw: bytes, bits: int, generator: np.random.Generator, reach: int) -> bytes:
    flipped = bytearray(raw)
    for place in generator.integers(0, min(reach, len(raw)), bits):
        flipped[place] ^= 1 << int(generator.integers(8))
    return bytes(flipped)


def write_damaged(folder: Path) -> None:
    """Write the files; each name says what was done to it."""
    for index, suffix in enumerate(FORMATS):
        for copy in range(6):
            generator = np.random.default_rng([index, copy])
            path = folder / f"whole-{copy}.{suffix}"
            raw = encode(path, music(10 * index + copy))
            if copy:
                path.unlink()

            def put(name: str, content: bytes, copy: int = copy, suffix: str = suffix) -> None:
                (folder / f"{name}-{copy}.{suffix}").write_bytes(content)

            put("cut", raw[: int(len(raw) * generator.uniform(0.15, 0.9))])
            put("nearly-empty", raw[: int(generator.integers(1, 300))])
            put("headless", raw[int(len(raw) * generator.uniform(0.01, 0.5)) :])
            put("flipped", flip(raw, 10 ** (copy % 4), generator, len(raw)))
            put("flipped-header", flip(raw, 1 + copy, generator, 200))
            hole = int(generator.integers(1_000, len(raw) - 3_000))
            put("hole", raw[:hole] + bytes(2_000) + raw[hole + 2_000 :])
        other = list(FORMATS)[(index + 1) % len(FORMATS)]
        encode(folder / f"really-{suffix}.{other}", music(100 + index), suffix=suffix)
        (folder / f"empty.{suffix}").touch()
        (folder / f"text.{suffix}").write_text("Dear reader,\n" * 99)
        (folder / f"noise.{suffix}").write_bytes(np.random.default_rng(index).bytes(5_000))
        (folder / f"folder.{suffix}").mkdir()
        encode(folder / f"one-sample.{suffix}", music(0, 1 / RATE))
        encode(folder / f"zeros.{suffix}", np.zeros((RATE * 6, 1)))
        encode(folder / f"8khz.{suffix}", music(200 + index, rate=8_000), 8_000)
    for suffix in ("wav", "flac"):
        encode(folder / f"192khz.{suffix}", music(300, rate=192_000), 192_000)
        encode(folder / f"six-channels.{suffix}", music(301, channels=6))
    for name, value in (("nan", np.nan), ("infinite", np.inf), ("huge", 1e30)):
        soundfile.write(folder / f"{name}.wav", np.full(RATE * 6, value), RATE, subtype="FLOAT")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], dict[str, float], dict[str, str]]:
    """The paths, the seconds of those that were prepared, the reasons of the others."""
    folder = tmp_path_factory.mktemp("damaged")
    write_damaged(folder)
    paths = sorted(folder.iterdir(), key=lambda path: (not path.name.startswith("whole"), path.name))
    prepare_corpus([Song(path) for path in paths], folder / "out", workers=2)
    tracks = {
        Path(row["path"]).name: row["seconds"] for row in Corpus.open(folder / "out").tracks.to_pylist()
    }
    rejects = pq.ParquetFile(folder / "out" / "rejects.parquet").read().to_pylist()
    return paths, tracks, {Path(row["path"]).name: row["reason"] for row in rejects}


def test_each_of_two_hundred_files_is_prepared_or_rejected_with_a_reason(outcome):
    paths, tracks, rejects = outcome
    assert len(paths) >= 200
    assert sorted([*tracks, *rejects]) == sorted(path.name for path in paths)
    kinds = Counter(reason.partition(":")[0] for reason in rejects.values())
    assert set(kinds) <= KINDS
    assert all(
        "\n" not in reason and "/" not in reason.split("same content as")[0] for reason in rejects.values()
    )


def test_whole_files_are_prepared_whatever_their_rate_channels_and_extension(outcome):
    paths, tracks, rejects = outcome
    names = [path.name for path in paths]
    for prefix in ("whole", "really", "8khz", "192khz", "six-channels"):
        for name in (name for name in names if name.startswith(prefix)):
            assert rejects.get(name) is None
            assert tracks[name] == pytest.approx(5.5, abs=0.06)


@pytest.mark.parametrize(
    ("prefix", "reasons"),
    [
        ("cut", {"truncated", "damaged"}),
        ("nearly-empty", {"not audio", "truncated", "damaged", "empty", "too short"}),
        ("empty", {"empty"}),
        ("text", {"not audio"}),
        ("noise", {"not audio", "empty", "too short", "damaged"}),
        ("folder", {"not a file"}),
        ("one-sample", {"too short"}),
        ("zeros", {"silent", "duplicate"}),
        ("nan", {"non-finite samples"}),
        ("infinite", {"non-finite samples"}),
        ("huge", {"not scaled"}),
        ("gone", {"no such file"}),
    ],
)
def test_what_is_no_whole_song_is_rejected_for_what_it_is(outcome, prefix, reasons):
    paths, _, rejects = outcome
    names = [path.name for path in paths if path.name.startswith(prefix)]
    assert names
    assert {rejects.get(name, f"{name} was prepared").partition(":")[0] for name in names} <= reasons


def test_a_damaged_file_that_is_prepared_is_no_longer_than_the_song_was(outcome):
    _, tracks, _ = outcome
    assert max(tracks.values()) < 5.7
