"""Are re-encoded copies told from other songs by their vectors? What the threshold of `audiomae duplicates` rests on.

    python benchmarks/duplicates.py BENCH --work FOLDER [--songs 120] [--whiten 0]

BENCH is the folder with `pool.csv` and `music/`. The three clips of each track are joined to a song of 15 s; of some
songs copies are encoded, louder and quieter ones and one without its first 0.7 s among them. `tiny` embeds them all.
Limits are to be chosen on the packages of role `train`; the rates of the others (`unseen`) stand apart.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from report import conditions, markdown

from audiomae.doors import make_door
from audiomae.vectors.duplicates import CLIP_THRESHOLD, THRESHOLD, clip_cosine, fit_clips
from audiomae.vectors.search import unit_rows
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import split_tracks

LIMITS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
ROLES = ("train", "unseen")

Sound = NDArray[np.float32]


class Copy(NamedTuple):
    """A way to copy a song."""

    suffix: str
    codec: str
    bit_rate: int
    change: Callable[[Sound, int], Sound]


def gain(decibels: float) -> Callable[[Sound, int], Sound]:
    """Return what makes a song louder; what passes full scale is clipped."""
    return lambda sound, _: np.clip(sound * 10 ** (decibels / 20), -1, 1).astype(np.float32)


COPIES = {
    "mp3 128 kb/s": Copy("mp3", "libmp3lame", 128_000, gain(0)),
    "opus 96 kb/s": Copy("opus", "libopus", 96_000, gain(0)),
    "opus 64 kb/s": Copy("opus", "libopus", 64_000, gain(0)),
    "mp3 128 kb/s, -6 dB": Copy("mp3", "libmp3lame", 128_000, gain(-6)),
    "opus 64 kb/s, +6 dB, clipped": Copy("opus", "libopus", 64_000, gain(6)),
    "mp3 128 kb/s, first 0.7 s cut": Copy(
        "mp3", "libmp3lame", 128_000, lambda sound, rate: sound[7 * rate // 10 :]
    ),
}
RATES = {"mp3": 44_100, "opus": 48_000}


def encode(path: Path, sound: Sound, codec: str, rate: int, bit_rate: int) -> None:
    """Write a mono sound at 44.1 kHz."""
    with av.open(str(path), "w", format="ogg" if path.suffix == ".opus" else None) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.bit_rate = bit_rate
        stream.layout = "mono"
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format="fltp", layout="mono")
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))


def write_songs(bench: Path, folder: Path, songs: int) -> dict[str, str]:
    """Write the songs and their copies; return the role of each song's package by its name."""
    with (bench / "pool.csv").open(encoding="utf-8") as file:
        roles = {row["track"]: row["role"] for row in csv.DictReader(file)}
    names = sorted({path.stem.partition("_")[0] for path in (bench / "music").glob("*.ogg")})
    copied = set(names[:: max(1, len(names) // songs)][:songs])
    for number, name in enumerate(names):
        if (folder / f"{name}.done").exists():
            continue
        clips = [
            soundfile.read(path, dtype="float32") for path in sorted((bench / "music").glob(f"{name}_*.ogg"))
        ]
        sound, rate = np.concatenate([clip for clip, _ in clips]), clips[0][1]
        soundfile.write(folder / f"{name}-0.flac", sound, rate)
        for nth, copy in enumerate(COPIES.values() if name in copied else (), 1):
            at = RATES[copy.suffix]
            changed = copy.change(np.asarray(soxr.resample(sound, rate, at), np.float32), at)
            encode(folder / f"{name}-{nth}.{copy.suffix}", changed, copy.codec, at, copy.bit_rate)
        (folder / f"{name}.done").touch()
        print(f"\r{number + 1} of {len(names)} songs", end="", flush=True)
    return {name: roles[name] for name in names}


class Measured(NamedTuple):
    """Cosines of copies and of different songs."""

    copies: dict[str, NDArray[np.float64]]
    """By the kind of copy: (songs, 2), of the tracks and of their clips."""
    strangers: NDArray[np.float64]
    """The same for each song and each different song of its role, (pairs, 2)."""


def measure(vectors: Vectors, roles: dict[str, str], role: str) -> Measured:
    """Return the cosines among the songs of one role; entries are standardised over the whole collection."""
    scale, unit = fit_clips(vectors), unit_rows(vectors.standardised())
    clips = {}
    for part in vectors.parts():
        for track in split_tracks(part):
            clips[track.track_id] = unit_rows(track.vectors if scale is None else scale(track.vectors))
    stems = [Path(path).stem for path in vectors.tracks["path"].to_pylist()]
    rows, ids = {stem: row for row, stem in enumerate(stems)}, vectors.track_ids

    def both(one: int, other: int) -> tuple[float, float]:
        return float(unit[one] @ unit[other]), clip_cosine(clips[ids[one]], clips[ids[other]])

    names = [name for name in roles if roles[name] == role and f"{name}-0" in rows]
    copies = {
        kind: np.array(
            [both(rows[f"{name}-0"], rows[f"{name}-{nth}"]) for name in names if f"{name}-{nth}" in rows]
        )
        for nth, kind in enumerate(COPIES, 1)
    }
    first = [rows[f"{name}-0"] for name in names]
    strangers = [both(one, other) for place, one in enumerate(first) for other in first[place + 1 :]]
    return Measured(copies, np.array(strangers))


def report(measured: Measured, role: str) -> str:
    """Return what the cosines are, and how many copies and strangers pass each limit."""
    lines = []
    for kind, values in [*measured.copies.items(), ("different songs", measured.strangers)]:
        low, high = np.quantile(values, (0.05, 0.95), axis=0)
        rest = [f"{np.median(values[:, at]):.3f} ({low[at]:.3f}\u2013{high[at]:.3f})" for at in (0, 1)]
        ends = [
            f"{values[:, at].max() if kind == 'different songs' else values[:, at].min():.3f}"
            for at in (0, 1)
        ]
        passed = ((values[:, 0] >= THRESHOLD) & (values[:, 1] >= CLIP_THRESHOLD)).sum()
        lines.append((kind, str(len(values)), rest[0], ends[0], rest[1], ends[1], f"{passed}"))
    header = (
        "copy",
        "pairs",
        "songs: median (5\u201395 %)",
        "worst",
        "clips: median (5\u201395 %)",
        "worst",
        "told copies",
    )
    every = np.concatenate(list(measured.copies.values()))
    rates = [
        (
            f"{limit:g}",
            *(
                f"{(values[:, at] >= limit).mean():.5f}"
                for at in (0, 1)
                for values in (every, measured.strangers)
            ),
        )
        for limit in LIMITS
    ]
    limits = (
        "limit",
        "songs: copies above",
        "different songs above",
        "clips: copies above",
        "different songs above",
    )
    return f"### {role}\n\n{markdown(header, lines)}\n\n{markdown(limits, rates)}\n"


def main() -> None:
    """Write the songs, embed them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the songs and vectors")
    parser.add_argument("--songs", type=int, default=120, help="songs that are copied")
    parser.add_argument("--whiten", type=int, default=0, help="dimensions of a soft whitening; 0 for none")
    asked = parser.parse_args()
    folder = asked.work / "songs"
    folder.mkdir(parents=True, exist_ok=True)
    roles = write_songs(asked.bench, folder, asked.songs)
    out = asked.work / f"vectors-{asked.whiten}"
    words = {"whiten": asked.whiten, "whiten_kind": "soft"} if asked.whiten else {}
    make_door("export")("tiny", str(folder), out=str(out), threads=1, **words)
    print(f"\n{conditions()}\n")
    for role in ROLES:
        print(report(measure(Vectors.open(out), roles, role), role))


if __name__ == "__main__":
    main()
