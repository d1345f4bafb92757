"""What the ways of training towers share: the tables as they are trained on, and the folder that is left behind."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.disk.files import fingerprint_of
from audiomae.errors import DataError
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions, TableSettings, read_interactions, read_tracks, read_users
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.index import EXACT_BELOW
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.splits import Split, SplitSettings, protocol, split_interactions
from audiomae.recommend.towers.batch import TrackClips
from audiomae.recommend.towers.check import GAMMAS, TowerCheck
from audiomae.recommend.towers.features import Encoded, FeatureSettings, UserFeatures
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.negatives import PopularityKind
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["DEFAULT_GAMMA", "TowerData", "read_data", "write_recommender"]

LOG = logging.getLogger(__name__)

DEFAULT_GAMMA = 1.0
"""Weight of log q where there is no validation slice to choose it on: what the softmax would have learned."""


@dataclass(frozen=True)
class TowerData:
    """Tables, content and split, coded alike.

    Attributes:
        content: Vectors and tags of all tracks of the catalogue.
        split: Plays, coded by its rows.
        users: A row a user of the plays, in their order, empty where the users' table has none.
        features: How users become numbers.
        encoded: Users as numbers.
        trained: Rows of the catalogue whose tracks have an id embedding.
        ids: Place of each track among those, from 1 on, 0 for none, (tracks,).
        clips: Clips of each track, for attention.
        about: The split's protocol, and what was left out.
        fingerprint: Stands for all of it.
    """

    content: Content
    split: Split
    users: pa.Table
    features: UserFeatures
    encoded: Encoded
    trained: NDArray[np.int64]
    ids: NDArray[np.int64]
    clips: TrackClips | None
    about: dict[str, Any]
    fingerprint: str

    def check(self, popularity: PopularityKind, most_users: int) -> TowerCheck:
        """Return what judges towers on the validation slice."""
        return TowerCheck(
            self.split.train,
            self.split.validation,
            self.encoded,
            self.ids,
            gammas=GAMMAS if popularity == "separate" else (0.0,),
            most_users=most_users,
            clips=self.clips,
        )


def read_data(
    content: Content,
    tables: TableSettings,
    split: SplitSettings,
    features: FeatureSettings,
    towers: TowerSettings,
) -> TowerData:
    """Read the tables and split them.

    Raises:
        DataError: If no played track has a vector, or there is nothing to tell apart.
    """
    if tables.tracks is not None:
        content = _with_tags(content, read_tracks(tables.tracks))
    read = read_interactions(tables)
    plays = read.align(content.track_ids)
    if not len(plays):
        raise DataError(
            f"{tables.interactions}: none of its {len(read.track_ids)} tracks is among the {len(content)} of "
            f"{content.path}; {read.track_ids[0]!r} is not like {content.track_ids[0]!r}. Name the content of "
            "these tracks."
        )
    absent = _refuse_thin(tables, read, plays)
    parts = split_interactions(plays, split, content.tags["artist"].to_pylist())
    table = None if tables.users is None else read_users(tables.users)
    trained_users = [plays.user_ids[code] for code in np.unique(parts.train.users)]
    learned = UserFeatures.fit(table, trained_users, features)
    users = _rows_of(table, plays.user_ids)
    trained = np.unique(parts.train.tracks).astype(np.int64) if towers.track_ids else np.zeros(0, np.int64)
    ids = np.zeros(len(content), np.int64)
    ids[trained] = np.arange(1, len(trained) + 1)
    limit = towers.attention_clips
    clips = TrackClips(*map(torch.from_numpy, content.clip_vectors(limit))) if limit else None
    about = {**protocol(parts, split), "tracks_without_vector": absent, "tables": dataclasses.asdict(tables)}
    known = learned.to_json() if table is None else _bytes_of(users)
    return TowerData(
        content,
        parts,
        users if table is None else _all_users(users, table),
        learned,
        learned.encode(users),
        trained,
        ids,
        clips,
        about,
        fingerprint_of(content.fingerprint, plays.fingerprint, known),
    )


def _refuse_thin(tables: TableSettings, read: Interactions, plays: Interactions) -> int:
    """Refuse plays of one user or track; note, and return, how many tracks have no vector."""
    absent = len(read.track_ids) - len(np.unique(plays.tracks))
    if absent:
        lost, played = len(read) - len(plays), len(read.track_ids)
        LOG.info("%d of %d played tracks have no vector; their %d plays are left out.", absent, played, lost)
    for name, codes in (("user", plays.users), ("track", plays.tracks)):
        if len(np.unique(codes)) < 2:
            raise DataError(
                f"{tables.interactions}: {len(plays)} plays of 1 {name}; towers learn by comparing, so they need "
                f"2 {name}s or more."
            )
    return absent


def write_recommender(
    out: Path,
    data: TowerData,
    towers: Towers,
    content: Content,
    popularity: PopularityKind,
    metrics: dict[str, float],
) -> dict[str, Any]:
    """Write towers, tables and catalogue, and recommender.json last; return what it says.

    Args:
        out: The run folder.
        data: What was trained on.
        towers: Trained.
        content: Vectors of the catalogue, from the encoder as it is now.
        popularity: What the towers learned of it.
        metrics: Last figures of the validation slice.
    """
    gamma = metrics.get("gamma", DEFAULT_GAMMA) if popularity == "separate" else 0.0
    about: dict[str, Any] = {
        "content_fingerprint": content.fingerprint,
        "model_fingerprint": content.model_fingerprint,
        "popularity": popularity,
        "gamma": gamma,
    }
    model = TowerModel(towers, data.features, [content.track_ids[row] for row in data.trained], about)
    folder = RecommenderFolder(out)
    model.save(folder.towers)
    slices = _slices(data.split)
    folder.write_tables(slices, data.users, data.about)
    large = len(content) >= EXACT_BELOW
    queries_of = partial(_queries, data, model) if large else None
    Catalogue.create(
        *(folder.catalogue, content, model, data.split.train),
        gamma=gamma,
        queries_of=queries_of,
        scale=model.scale,
    )
    counts = {name: len(plays) for name, plays in slices.items()}
    about |= {
        "counts": {"users": len(data.users), "tracks": len(content), **counts},
        "validation": {name: value for name, value in metrics.items() if name != "gamma"},
    }
    return folder.write_meta(model, gamma=gamma, about=about, made_of=data.fingerprint)


def _slices(split: Split) -> dict[str, Interactions]:
    return {"train": split.train, "validation": split.validation, "test": split.test}


def _queries(data: TowerData, model: TowerModel, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of up to 500 users, as they stand at the end of the training slice."""
    users = np.unique(data.split.train.users).astype(np.int64)
    users = users[np.linspace(0, len(users) - 1, min(500, len(users))).astype(np.int64)]
    history = Histories.build(data.split.train).read(users, model.config)
    names = [{"user_id": data.split.train.user_ids[code]} for code in users.tolist()]
    past = history.mean(rows[history.tracks]).astype(np.float32)
    return model.embed_users(names, past, history.there)


def _rows_of(table: pa.Table | None, user_ids: list[str]) -> pa.Table:
    """Return a row for each of the users, in their order, empty where the table has none."""
    names = pa.array(user_ids, pa.string())
    if table is None:
        return pa.table({"user_id": names})
    places = pc.index_in(names, value_set=table["user_id"].combine_chunks())
    rows = table.take(places)
    return rows.set_column(rows.column_names.index("user_id"), "user_id", names)


def _all_users(users: pa.Table, table: pa.Table) -> pa.Table:
    """Return the users with plays and then those of the table without, sorted by name."""
    others = table.filter(pc.invert(pc.is_in(table["user_id"], value_set=users["user_id"].combine_chunks())))
    return pa.concat_tables([users, others]).sort_by("user_id")


def _bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def _with_tags(content: Content, tracks: pa.Table) -> Content:
    """Return the content with the tags of a tracks' table, where that has some."""
    places = pc.index_in(
        pa.array(content.track_ids, pa.string()), value_set=tracks["track_id"].combine_chunks()
    )
    tags = {name: content.tags[name] for name in content.tags.column_names}
    for name in TAGS:
        given = tracks[name].take(places)
        empty = pc.or_kleene(pc.is_null(given), pc.equal(given, ""))
        tags[name] = pc.if_else(pc.fill_null(empty, True), content.tags[name], given)
    return dataclasses.replace(content, tags=pa.table(tags))
