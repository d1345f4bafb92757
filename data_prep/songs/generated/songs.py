"""Generated songs: music made from numbers, with style, key, tempo and instrument known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audiomae.corpus.song import Song
from audiomae.disk.files import locked, read_json, write_atomically, write_json
from audiomae.errors import DataError, StorageError
from audiomae.progress import SILENT, Progress
from data_prep.songs.generated.piece import KEYS, Piece
from data_prep.songs.generated.styles import STYLES
from data_prep.songs.generated.synthesis import INSTRUMENTS, SAMPLE_RATE, hit_drum, master, play, vary_timbre

__all__ = ["Answers", "answers_of", "compose", "songs"]

FORMAT = "audiomae-generated/1"


@dataclass(frozen=True)
class Answers:
    """What is known of a generated song.

    Attributes:
        style: A key of `data_prep.songs.generated.styles.STYLES`.
        tonic: Pitch class of the key, 0 for C.
        mode: major or minor.
        tempo: Beats a minute.
        instrument: What plays the tune.
        seconds: Length, 20 to 40.
    """

    style: str
    tonic: int
    mode: str
    tempo: float
    instrument: str
    seconds: float

    @property
    def key(self) -> str:
        """Tonic and mode, such as "F# minor"."""
        return f"{KEYS[self.tonic]} {self.mode}"


def answers_of(index: int, seed: int) -> Answers:
    """Draw what song `index` of collection `seed` is to be.

    Every ten songs hold every style once, in a new order: folds cut by index stay mixed.

    >>> len({answers_of(index, seed=0).style for index in range(10)})
    10
    """
    block, place = divmod(index, len(STYLES))
    name = str(np.random.default_rng([seed, block, 2]).permutation(list(STYLES))[place])
    rng = np.random.default_rng([seed, index, 0])
    style = STYLES[name]
    return Answers(
        style=name,
        tonic=int(rng.integers(12)),
        mode=str(rng.choice(style.modes)),
        tempo=round(float(rng.uniform(*style.tempo)), 1),
        instrument=str(rng.choice(style.leads)),
        seconds=round(float(rng.uniform(20, 40)), 2),
    )


def compose(index: int, seed: int) -> npt.NDArray[np.float32]:
    """Make one song; the same `index` and `seed` give the same song.

    Args:
        index: Which song, from 0.
        seed: Which collection, from 0.

    Returns:
        (samples,) float32 in [-1, 1] at `data_prep.songs.generated.synthesis.SAMPLE_RATE`.
    """
    answers, rng = answers_of(index, seed), np.random.default_rng([seed, index, 1])
    style = STYLES[answers.style]
    piece = Piece(
        rng=rng,
        tempo=answers.tempo,
        tonic=answers.tonic,
        mode=answers.mode,
        beats=style.beats,
        bars=int(np.ceil(answers.seconds * answers.tempo / 60 / style.beats)),
        lead=answers.instrument,
        loose=style.loose,
    )
    style.write(piece)
    mix = np.zeros(round(answers.seconds * SAMPLE_RATE), np.float32)
    for part in piece.parts:
        sound = play(part.notes, vary_timbre(INSTRUMENTS[part.instrument], rng), len(mix), rng)
        if part.drive:
            np.tanh(part.drive * sound, out=sound)
        mix += np.float32(part.gain) * sound
    strokes = {
        name: hit_drum(name, rng, pitch=float(rng.uniform(0.8, 1.3)), length=float(rng.uniform(0.6, 1.8)))
        for name in sorted({name for name, _, _ in piece.hits})
    }
    kit = float(rng.uniform(0.8, 2.2))
    for name, start, gain in piece.hits:
        first = round(start * SAMPLE_RATE)
        stroke = strokes[name][: max(0, len(mix) - first)]
        mix[first : first + len(stroke)] += np.float32(kit * gain) * stroke
    return master(
        mix,
        rng,
        room_seconds=float(rng.uniform(0.2, 2.5)),
        wet=float(rng.uniform(0.05, 0.6)),
        tilt_db=float(rng.uniform(-2.5, 1.5)),
        low_hz=float(rng.uniform(25, 140)),
        high_hz=float(np.exp(rng.uniform(np.log(2500), np.log(10_000)))),
        noise_db=float(rng.uniform(-60, -28)),
        level_db=float(rng.uniform(-24, -16)),
    )


def songs(folder: Path | str, count: int, seed: int = 0, *, progress: Progress = SILENT) -> Iterator[Song]:
    """Write `count` songs as FLAC into `folder`, with what is known of them, and yield them.

    The known answers are in `labels.csv`, and again as questions for `audiomae probe` in `probe.csv`.

    Songs that are there already are kept, so an interrupted run goes on where it was. The first
    songs of a larger count are those of a smaller one.

    Args:
        folder: Where the songs go; made if need be.
        count: Songs, 1 to 100,000.
        seed: Which collection, from 0.
        progress: Told how many songs are there.

    Raises:
        DataError: If `count` or `seed` is out of range, or the folder holds another collection.
        StorageError: If the disk refuses a write.
    """
    folder = Path(folder)
    if not 1 <= count <= 100_000:
        raise DataError(
            f"{count} songs cannot be generated, the limits are 1 and 100000. Ask for a count between."
        )
    if seed < 0:
        raise DataError(f"seed {seed} is negative, the lowest is 0. Use 0 or above.")
    with locked(folder):
        _claim(folder, seed)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        found = []
        with progress.stage("generating songs", total=count, unit="songs") as stage:
            for index in range(count):
                found.append(_song(folder, index, seed))
                stage.advance()
        _write_labels(folder, found, seed)
    yield from found


def _claim(folder: Path, seed: int) -> None:
    """Note which collection the folder holds; refuse another one's."""
    note = folder / "generated.json"
    if not note.exists():
        write_json(note, {"format": FORMAT, "seed": seed, "sample_rate": SAMPLE_RATE})
    elif (there := read_json(note, format=FORMAT).get("seed")) != seed:
        raise DataError(
            f"{folder}: holds songs of seed {there}, not {seed}. Use that seed, or another folder."
        )


def _song(folder: Path, index: int, seed: int) -> Song:
    """One song, made unless it is there."""
    answers = answers_of(index, seed)
    path = folder / f"{index:05d}-{answers.style}.flac"
    if not path.exists():
        with write_atomically(path) as temporary:
            try:
                soundfile.write(temporary, compose(index, seed), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            except soundfile.LibsndfileError as error:
                raise StorageError(
                    f"{path}: cannot write ({error.error_string}). Free some space."
                ) from error
    title = f"{answers.style} {index} in {answers.key} at {answers.tempo:g}"
    return Song(path, track_id=f"generated-{seed}-{index:05d}", title=title, genre=answers.style)


def _write_labels(folder: Path, found: list[Song], seed: int) -> None:
    """Write the known answers: labels.csv, a row a song; probe.csv, a row a question, as probes read them."""
    labels = [["path", "track_id", "style", "key", "tempo", "instrument"]]
    questions = [["path", "task", "label"]]
    for index, song in enumerate(found):
        known = answers_of(index, seed)
        name = song.path.name
        labels.append([name, song.track_id, known.style, known.key, f"{known.tempo:g}", known.instrument])
        questions += [[name, "style", known.style], [name, "instrument", known.instrument]]
    for file, rows in (("labels.csv", labels), ("probe.csv", questions)):
        with (
            write_atomically(folder / file) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as handle,
        ):
            csv.writer(handle, lineterminator="\n").writerows(rows)
