"""What `crashes.py` kills: each verb on an input as small as still writes all its kinds of files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from export_speed import write_clips

from audiomae.cli.main import main
from audiomae.model.config import model_of_size
from audiomae.model.embedder import save, untrained

__all__ = ["CASES", "Case"]

DAY = 86_400
SIZES = "--model.width 32 --model.depth 2 --model.heads 2"
LOOP = "--train.threads 1 --train.log_every 2 --train.checkpoint_every"


@dataclass(frozen=True)
class Case:
    """A command and what it works on.

    Attributes:
        command: Its words; inputs lie in `../inputs`, the result in `out`.
        set_up: Writes the inputs into a folder.
        start: Folder among the inputs that `out` is a copy of at the beginning; none for no folder.
        reader: Words of a command that must work after the kill, before the rerun, and say what it said before the
            command or after it; none for no such check.
    """

    command: str
    set_up: Callable[[Path], None]
    start: str = ""
    reader: str = ""


def write_songs(inputs: Path) -> None:
    """Write twenty noises of 6 s, two of them twice, one too short, and a text."""
    (inputs / "songs").mkdir(parents=True)
    for number in range(20):
        samples = np.random.default_rng(number % 18).normal(0, 0.1, 16_000 * (2 if number == 5 else 6))
        soundfile.write(inputs / "songs" / f"{number:02}.flac", samples, 16_000)
    (inputs / "songs" / "text.flac").write_text("no audio")


def write_corpus(inputs: Path) -> None:
    """Write a corpus of noise, 32 clips, and an untrained model."""
    model = untrained(model_of_size("tiny", width=32, depth=2, heads=2))
    write_clips(inputs / "corpus", model, 32, 4)
    save(model, inputs / "run", {})


def write_vectors(path: Path, names: list[str]) -> None:
    """Write vectors of songs; those named c… point one way, those named m… another."""
    draw = np.random.default_rng(sum(map(ord, "".join(names))))
    vectors = 0.3 * draw.normal(size=(len(names), 6))
    vectors[:, 0] += [1.0 if name[0] == "c" else -1.0 for name in names]
    rows = pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32()))
    table = pa.table({"track_id": names, "artist": [name[:2] for name in names], "vector": rows})
    pq.write_table(table.replace_schema_metadata({"audiomae.model_fingerprint": "encoder"}), path)


def write_plays(inputs: Path) -> None:
    """Write the plays of eighty users with one of two tastes, and vectors of the songs."""
    inputs.mkdir(parents=True)
    write_vectors(inputs / "vectors.parquet", [f"{kind}{song:02}" for kind in "cm" for song in range(30)])
    write_vectors(inputs / "new.parquet", [f"{kind}{song:02}" for kind in "cm" for song in range(90, 96)])
    draw, rows, users = np.random.default_rng(0), [], []
    for user in range(80):
        kind, name = "cm"[user % 2], f"u{user:02}"
        users.append({"user_id": name, "age": 20 if kind == "c" else 60})
        for nth, song in enumerate(draw.choice(30, 12, replace=False)):
            rows.append(
                {"user_id": name, "track_id": f"{kind}{song:02}", "timestamp": (nth + 1) * DAY + user}
            )
    pq.write_table(pa.Table.from_pylist(rows), inputs / "plays.parquet")
    pq.write_table(pa.Table.from_pylist(users), inputs / "users.parquet")


def tower_words(inputs: str, out: str, *, steps: int, checkpoint_every: int) -> str:
    """Return the command that trains towers on those plays."""
    return (
        f"train-towers {inputs}/vectors.parquet --tables.interactions {inputs}/plays.parquet --tables.users "
        f"{inputs}/users.parquet --split.validation 0.2 --split.test 0.1 --out {out} --steps {steps} --train.batch 64 "
        f"--train.learning_rate 0.01 --train.evaluate_every 10 {LOOP} {checkpoint_every}"
    )


def write_recommender(inputs: Path) -> None:
    """Write the plays and train towers on them."""
    write_plays(inputs)
    words = tower_words(str(inputs), str(inputs / "recommender"), steps=40, checkpoint_every=40)
    if main(words.split()):
        raise SystemExit("the recommender could not be trained")


def write_ratings(inputs: Path) -> None:
    """Write ratings in the layout of MovieLens 100k, 20,000 of them."""
    folder = inputs / "ml-100k"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    plays = np.unique(draw.integers(1, (400, 300), (20_000, 2)), axis=0)
    rated = [f"{user}\t{film}\t{1 + film % 5}\t{881_250_949 + user}\n" for user, film in plays]
    flags = "|".join(["1", *["0"] * 17])
    (folder / "u.data").write_text("".join(rated))
    (folder / "u.user").write_text("".join(f"{user}|{user % 60}|M|writer|{user}\n" for user in range(1, 400)))
    (folder / "u.item").write_text(
        "".join(f"{film}|Film {film} (1995)|01-Jan-1995||http://x|0|{flags}\n" for film in range(1, 300))
    )


def _serving(command: str, reader: str = "recommend out --user u01 --k 40 --json") -> Case:
    return Case(command, write_recommender, start="recommender", reader=reader)


CASES = {
    "prepare": Case(
        "prepare ../inputs/songs --out out --shard_megabytes 0.3 --workers 2",
        write_songs,
    ),
    "pretrain": Case(
        f"pretrain --corpus ../inputs/corpus --out out --steps 12 {SIZES} --train.batch 4 "
        f"--train.evaluate_every 100 {LOOP} 2",
        write_corpus,
    ),
    "export": Case(
        "export ../inputs/run ../inputs/corpus --out out --whiten 16 --part_clips 8 --batch 4 --threads 1 "
        "--device cpu",
        write_corpus,
    ),
    "train-towers": Case(tower_words("../inputs", "out", steps=20, checkpoint_every=4), write_plays),
    "train-ranker": _serving(
        "train-ranker out --ranker.candidates 30 --ranker.trees 20 --ranker.least_in_leaf 5"
    ),
    "update-catalogue add": _serving("update-catalogue out --add ../inputs/new.parquet"),
    "update-catalogue remove": _serving("update-catalogue out --remove c00,c01,m00,m01,m02"),
    "prepare-tables": Case("prepare-tables movielens ../inputs/ml-100k --out out", write_ratings),
}
