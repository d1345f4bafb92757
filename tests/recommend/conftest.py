"""A small recommender whose towers are untrained: enough for all that does not ask what they learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from audiomae.disk.files import fingerprint_of
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings

DAY = 86_400
GENRES = ("Rock", "Jazz", "Rock|Pop", "")


def content_of(names: list[str], *, seed: int = 0, dim: int = 6, encoder: str | None = "enc") -> Content:
    """Content of some tracks; a track's vector and tags depend on its name and the seed alone."""
    rows = []
    for name in sorted(names):
        key = int.from_bytes(name.encode()[-4:], "big")
        rows.append(np.random.default_rng([seed, key]).normal(size=dim))
    number = [int("".join(filter(str.isdigit, name)) or 0) for name in sorted(names)]
    tags = {
        "track_id": sorted(names),
        "title": [f"Song {one}" for one in number],
        "artist": ["" if one % 11 == 10 else f"artist {one % 11}" for one in number],
        "album": [""] * len(number),
        "genre": [GENRES[one % 4] for one in number],
    }
    vectors = np.array(rows, np.float32).reshape(len(rows), dim)
    stands = fingerprint_of(sorted(names), vectors.tobytes())
    return Content(Path("content"), sorted(names), vectors, pa.table(tags), stands, encoder)


def plays_of(content: Content, *, users: int = 30, seed: int = 0, share: float = 1.0) -> Interactions:
    """Ten plays a user, a day apart, of the first `share` of the tracks."""
    draw = np.random.default_rng(seed)
    most = max(1, round(len(content.track_ids) * share))
    names = [f"u{place:02d}" for place in range(users)]
    return Interactions.build(
        names,
        content.track_ids,
        np.repeat(np.arange(users), 10),
        draw.integers(0, most, users * 10),
        np.tile(np.arange(10), users) * DAY + DAY,
        draw.integers(1, 4, users * 10),
    )


def write_recommender(folder: Path, items: int, *, gamma: float = 0.4) -> Path:
    """Write a recommender of `items` tracks t000, t001 …, the last tenth of them unplayed."""
    content = content_of([f"t{place:03d}" for place in range(items)])
    plays = plays_of(content, share=0.9)
    times = plays.times
    assert times is not None
    parts = {
        "train": plays.select(times <= 7 * DAY),
        "validation": plays.select((times > 7 * DAY) & (times <= 9 * DAY)),
        "test": plays.select(times > 9 * DAY),
    }
    users = pa.table(
        {
            "user_id": [*plays.user_ids, "zoe"],
            "age": pa.array([20 + place for place in range(len(plays.user_ids))] + [None], pa.int64()),
            "country": ["DE", "FR", "DE"] * 10 + ["FR"],
        }
    )
    features = UserFeatures.fit(users, plays.user_ids, FeatureSettings(least_count=1))
    played = np.unique(parts["train"].tracks)
    settings = TowerSettings(dim=16, hidden=16)
    towers = make_towers(
        features, torch.from_numpy(content.vectors), len(played), settings, ObjectiveSettings(), 1, 0
    )
    model = TowerModel(towers, features, [content.track_ids[row] for row in played], {})
    place = RecommenderFolder(folder)
    model.save(place.towers)
    place.write_tables(parts, users, {})
    Catalogue.create(place.catalogue, content, model, parts["train"])
    place.write_meta(model, gamma=gamma, about={})
    return folder


@pytest.fixture
def make_content() -> Callable[..., Content]:
    """What makes content of named tracks."""
    return content_of


@pytest.fixture
def make_plays() -> Callable[..., Interactions]:
    """What makes plays of content."""
    return plays_of


@pytest.fixture
def make_recommender(tmp_path: Path) -> Callable[..., Path]:
    """What writes a recommender of so many tracks into a folder of this test."""
    return lambda items, **settings: write_recommender(tmp_path / "rec", items, **settings)


@pytest.fixture(scope="session")
def small_recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommender of 60 tracks, to be read only."""
    return write_recommender(tmp_path_factory.mktemp("small") / "rec", 60)


@pytest.fixture(scope="session")
def larger_recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommender of 700 tracks, more than all are candidates, to be read only."""
    return write_recommender(tmp_path_factory.mktemp("larger") / "rec", 700)
