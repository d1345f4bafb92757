"""Thousands of damaged songs through the worker pool: crashes, hangs, and what is shortened in silence.

    python benchmarks/damaged_songs.py [--files 5000] [--workers 2] [--seed 0]

Songs of 6 s in every container that can be written here are damaged by bit flips, cuts, zeroed and removed runs, and
headers of other formats. Each is prepared; what is kept is compared with libsndfile, a second decoder, where that reads
the file: more than 0.1 s less than it gives (of 6 s), without a note in the row, is shortened in silence. A file that
was merely cut may be kept where its format says nowhere how long it is (bare MP3, AAC, AC-3).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from audiomae.audio.mel import MelSettings
from audiomae.corpus.pool import Job, Result, prepare_in_order
from audiomae.corpus.worker import Limits

SECONDS = 6
WRITTEN = {"wav": ("WAV", None), "flac": ("FLAC", None), "mp3": ("MP3", None), "ogg": ("OGG", "VORBIS")}
WRITTEN |= {"aiff": ("AIFF", None), "opus": ("OGG", "OPUS"), "w64": ("W64", None), "caf": ("CAF", None)}
ENCODED = {"m4a": "aac", "aac": "aac", "webm": "libopus", "mka": "libopus", "wv": "wavpack", "tta": "tta"}
ENCODED |= {"ac3": "ac3", "au": "pcm_s16be", "mov": "alac", "avi": "libmp3lame", "mp2": "mp2"}
DAMAGES = ("flips", "cut", "zeros", "gap", "header")
BATCH = 500


def whole_songs(folder: Path) -> dict[str, bytes]:
    """Return a whole song in every format, by its ending."""
    generator = np.random.default_rng(7)
    steps = np.arange(SECONDS * 48_000)[:, None] / 48_000
    sound = sum(0.1 * np.sin(2 * np.pi * hertz * steps * (1 + 0.01 * steps)) for hertz in (220, 587, 1480))
    sound = (sound + generator.normal(0, 0.05, (len(steps), 2))).astype("f4")
    for suffix, (kind, subtype) in WRITTEN.items():
        soundfile.write(folder / f"whole.{suffix}", sound, 48_000, format=kind, subtype=subtype)
    for suffix, codec in ENCODED.items():
        kind = {"aac": "adts", "mka": "matroska"}.get(suffix)
        with av.open(str(folder / f"whole.{suffix}"), "w", format=kind) as file:
            stream = file.add_stream(codec, rate=48_000)
            stream.layout = "stereo"
            stream.codec_context.open()
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
            frame.sample_rate = 48_000
            size = stream.codec_context.frame_size or 1024
            resampler = av.AudioResampler(stream.codec_context.format, "stereo", 48_000, frame_size=size)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                part.pts = None
                file.mux(stream.encode(part))
            file.mux(stream.encode(None))
    return {path.suffix[1:]: path.read_bytes() for path in sorted(folder.glob("whole.*"))}


def damage(raw: bytes, other: bytes, kind: str, generator: np.random.Generator) -> bytes:
    """Return a song after one kind of damage."""
    start = int(generator.integers(0, len(raw)))
    length = int(len(raw) * generator.uniform(0.002, 0.3))
    if kind == "cut":
        return raw[: max(start, 1)]
    if kind == "zeros":
        return raw[:start] + bytes(min(length, len(raw) - start)) + raw[start + length :]
    if kind == "gap":
        return raw[:start] + raw[start + length :]
    if kind == "header":
        size = int(2 ** generator.uniform(2, 11))
        return other[:size] + raw[size:]
    flipped = bytearray(raw)
    reach = len(raw) if generator.random() < 0.6 else min(len(raw), 2_000)
    for place in generator.integers(0, reach, int(2 ** generator.uniform(0, 9))):
        flipped[place] ^= 1 << int(generator.integers(8))
    return bytes(flipped)


def second_seconds(path: Path) -> float:
    """Return the seconds that libsndfile reads; 0 if it refuses the file."""
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            frames = sum(len(block) for block in sound.blocks(1 << 16, dtype="float32"))
            return frames / sound.samplerate if 1_000 <= sound.samplerate <= 768_000 else 0.0
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
        return 0.0


def run(folder: Path, files: int, workers: int, seed: int) -> Iterator[tuple[str, str, Path, Result]]:
    """Yield format, damage, path and outcome of each file."""
    songs = whole_songs(folder)
    names = list(songs)
    limits = Limits(shortest_seconds=0, quietest_dbfs=-200, song_minutes=2)
    for first in range(0, files, BATCH):
        kinds = []
        for number in range(first, min(first + BATCH, files)):
            generator = np.random.default_rng([seed, number])
            suffix, kind = names[number % len(names)], DAMAGES[number // len(names) % len(DAMAGES)]
            other = songs[names[int(generator.integers(len(names)))]]
            path = folder / f"{number}.{suffix}"
            path.write_bytes(damage(songs[suffix], other, kind, generator))
            kinds.append((suffix, kind, path))
        jobs = [Job(path, path.with_suffix(".mel")) for *_, path in kinds]
        for number, result in prepare_in_order(jobs, workers, MelSettings(), limits):
            yield *kinds[number], result
            jobs[number].path.unlink()  # type: ignore[union-attr]
            jobs[number].mels.unlink(missing_ok=True)


def main() -> None:
    """Damage, prepare, compare and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000, help="damaged files")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="which damage")
    options = parser.parse_args()
    outcomes: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    silent: list[str] = []
    compared = 0
    start, slowest, last = time.perf_counter(), 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        for suffix, kind, path, result in run(Path(place), options.files, options.workers, options.seed):
            slowest, last = max(slowest, time.perf_counter() - last), time.perf_counter()
            if "reason" in result:
                reasons[str(result["reason"]).partition(":")[0]] += 1
                outcomes[kind, "refused"] += 1
                continue
            outcomes[kind, "kept, told" if result["note"] else "kept"] += 1
            other = second_seconds(path)
            compared += other > 0
            if min(other, SECONDS) - float(result["seconds"]) > 0.1 and not result["note"]:
                silent.append(
                    f"{path.name} ({kind}): {result['seconds']:.2f} s, libsndfile {other:.2f} s ({suffix})"
                )
    print(
        f"{options.files} files, seed {options.seed}, {time.perf_counter() - start:.0f} s, "
        f"longest wait for one {slowest:.1f} s\n"
    )
    print("| damage | kept | kept, told | refused |\n|---|---|---|---|")
    for kind in DAMAGES:
        print(
            f"| {kind} | "
            + " | ".join(str(outcomes[kind, what]) for what in ("kept", "kept, told", "refused"))
            + " |"
        )
    print("\n| refused as | files |\n|---|---|")
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")
    print(
        f"\ncrashed {reasons['decoder crashed']}, hung {reasons['time-out']}, compared with libsndfile {compared}, "
        f"shortened in silence {len(silent)}"
    )
    print("\n".join(silent))


if __name__ == "__main__":
    main()
