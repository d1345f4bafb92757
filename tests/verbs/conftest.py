"""Towers trained on two tastes whose right answer is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.doors import core_of, settings_of
from audiomae.listening.tables import TableSettings
from audiomae.model.config import ModelSettings
from audiomae.recommend.splits import SplitSettings
from audiomae.recommend.towers.features import FeatureSettings
from audiomae.training.settings import LoopSettings
from audiomae.verbs.pretrain import PretrainSettings

DAY = 86_400


def vectors_of(
    path: Path, names: list[str], *, encoder: str = "enc", dim: int = 6, broken: bool = False
) -> str:
    """Vectors of tracks: those named c… point one way, those named m… another."""
    draw = np.random.default_rng(sum(map(ord, "".join(names))))
    vectors = 0.3 * draw.normal(size=(len(names), dim))
    vectors[:, 0] += [1.0 if name[0] == "c" else -1.0 for name in names]
    if broken:
        vectors[0, 1] = np.nan
    table = pa.table(
        {
            "track_id": names,
            "title": [f"Title of {name}" for name in names],
            "artist": [f"artist {name[:2]}" for name in names],
            "genre": ["calm" if name[0] == "c" else "metal" for name in names],
            "path": [f"songs/{name}.ogg" for name in names],
            "vector": pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table.replace_schema_metadata({"audiomae.model_fingerprint": encoder}), path)
    return str(path)


def write_tables(folder: Path) -> TableSettings:
    """Eighty users who play 12 tracks of one kind; the young ones calm songs."""
    draw = np.random.default_rng(0)
    rows, users = [], []
    for user in range(80):
        kind = "c" if user % 2 else "m"
        users.append({"user_id": f"u{user:02d}", "age": 20 if kind == "c" else 60})
        for nth, track in enumerate(draw.choice(30, 12, replace=False)):
            name = f"{kind}{track:02d}"
            rows.append({"user_id": f"u{user:02d}", "track_id": name, "timestamp": (nth + 1) * DAY + user})
    pq.write_table(pa.Table.from_pylist(rows), folder / "plays.parquet")
    pq.write_table(pa.Table.from_pylist(users), folder / "users.parquet")
    return TableSettings(str(folder / "plays.parquet"), users=str(folder / "users.parquet"))


@pytest.fixture
def write_vectors() -> Callable[..., str]:
    """What writes vectors of named tracks to a file."""
    return vectors_of


@pytest.fixture(scope="session")
def tastes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recommender whose towers learned the two tastes, to be read only."""
    place = tmp_path_factory.mktemp("tastes")
    names = [f"{kind}{track:02d}" for kind in "cm" for track in range(30)]
    loop = LoopSettings(batch=128, learning_rate=0.01, evaluate_every=60, checkpoint_every=60, threads=1)
    core_of("train-towers")(
        settings_of("train-towers")(
            vectors_of(place / "content.parquet", names),
            write_tables(place),
            SplitSettings(validation=0.2, test=0.1),
            FeatureSettings(least_count=1, buckets=2),
            out=str(place / "rec"),
            steps=60,
            train=loop,
        )
    )
    return str(place / "rec")


@pytest.fixture
def own_tastes(tastes: str, tmp_path: Path) -> str:
    """A copy of it, to be changed."""
    shutil.copytree(tastes, tmp_path / "own")
    return str(tmp_path / "own")


TINY = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


def config_of_pretraining(corpus: Path, out: Path, *, steps: int = 6, **changes) -> PretrainSettings:
    """Settings of a short run."""
    loop = {"batch": 8, "threads": 1, "log_every": 2, "evaluate_every": 4, "checkpoint_every": 2}
    loop |= changes.pop("train", {})
    settings = {"model": TINY, "train": LoopSettings(**loop), **changes}
    return PretrainSettings(corpus=str(corpus), out=str(out), steps=steps, **settings)


@pytest.fixture
def config() -> Callable[..., PretrainSettings]:
    """What gives the settings of a short pretraining run on a corpus, into a folder."""
    return config_of_pretraining
