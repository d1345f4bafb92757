"""Questions about a corpus's own songs: clips cut from them, and what is known of each."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audiomae.audio.decode import decode
from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import write_atomically

__all__ = ["write_questions"]

PLACES = (0.2, 0.5, 0.8)
"""Where in a track its clips are cut, as shares of what is possible."""
FEWEST_TRACKS = 3
"""Tracks that an artist or genre needs to be asked for."""


def write_questions(corpus: Corpus, tracks: npt.NDArray[np.int64], folder: Path, *, seconds: float) -> Path:
    """Cut three clips from each of some tracks and write a labels file for `audiomae probe`.

    Args:
        corpus: Prepared songs; their files are read again.
        tracks: Indices of the tracks to ask about.
        folder: Where the clips go, and `labels.csv`.
        seconds: Length of a clip.

    Returns:
        The labels file. Its tasks: `same_track`, and `artist` and `genre` where two or more of them have enough
        tracks.
    """
    rows = corpus.tracks.take(tracks).to_pylist()
    asked = {name: _askable([row[name] for row in rows]) for name in ("artist", "genre")}
    lines = [["path", "task", "label", "track"]]
    for number, row in enumerate(rows):
        sound: npt.NDArray[np.float32] | None = None
        for place, share in enumerate(PLACES):
            path = folder / f"{number:04d}-{place}.wav"
            if not path.exists():
                sound = decode(row["path"], corpus.mel.sample_rate) if sound is None else sound
                length = round(seconds * corpus.mel.sample_rate)
                first = round(share * max(0, len(sound) - length))
                with write_atomically(path) as temporary:
                    clip = np.clip(sound[first : first + length], -1, 1)
                    soundfile.write(temporary, clip, corpus.mel.sample_rate, format="WAV", subtype="PCM_16")
            lines.append([path.name, "same_track", row["track_id"], row["track_id"]])
            for name, known in asked.items():
                if row[name] in known:
                    lines.append([path.name, name, row[name], row["track_id"]])
    with (
        write_atomically(folder / "labels.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as out,
    ):
        csv.writer(out, lineterminator="\n").writerows(lines)
    return folder / "labels.csv"


def _askable(values: list[str]) -> set[str]:
    """Return the values that enough tracks share, or none where they would leave nothing to tell apart."""
    enough = {value for value, count in Counter(values).items() if value and count >= FEWEST_TRACKS}
    return enough if len(enough) > 1 else set()
