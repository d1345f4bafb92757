"""The rows of a catalogue: what the item tower makes of content, and how often each track was played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.errors import DataError
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.files import Parts
from audiomae.recommend.towers.model import TowerModel

__all__ = [
    "ItemEmbedder",
    "embed_content",
    "first_plays",
    "log_prior_of",
    "unplayed_log_prior",
]


class ItemVectors(Protocol):
    """What an item tower makes of content, two float32 arrays of (n, dim)."""

    @property
    def projected(self) -> NDArray[np.float32]:
        """What users are compared with."""

    @property
    def history(self) -> NDArray[np.float32]:
        """What a user's history is made of."""


class ItemEmbedder(Protocol):
    """What the catalogue asks of a tower model."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the trained towers."""

    def embed_items(self, content: NDArray[np.float32], track_ids: Sequence[str]) -> ItemVectors:
        """Turn content vectors (n, D) into item vectors."""


def unplayed_log_prior(plays: NDArray[np.integer], *, gamma: float) -> float:
    """Return log q of an item that nobody has played: its popularity is unknown, not the least.

    A score weighs an item by q ** gamma, so the item gets the mean of that over the played ones: what is to be
    expected of it where new items become as popular as the others did. 0 where nothing is played.

    Args:
        plays: Plays of each item.
        gamma: Factor of log q in the score; the mean of log q where it is 0.

    Example:
        >>> round(float(np.exp(unplayed_log_prior(np.array([6, 0, 2]), gamma=1.0))), 3)
        0.5
    """
    shares = np.log(plays[plays > 0] / max(1, int(plays.sum())))
    if not len(shares):
        return 0.0
    if gamma <= 0:
        return float(shares.mean())
    return float((np.logaddexp.reduce(gamma * shares) - np.log(len(shares))) / gamma)


def log_prior_of(
    plays: NDArray[np.integer], *, unplayed: float, total: int | None = None
) -> NDArray[np.float32]:
    """Return log q of each item: the log of its share of all plays, (items,).

    Args:
        plays: Plays of each item.
        unplayed: log q of an item without a play, from `unplayed_log_prior`.
        total: Plays of all items; their sum by default.

    Example:
        >>> np.exp(log_prior_of(np.array([6, 0, 2]), unplayed=np.log(0.5))).round(3)
        array([0.75, 0.5 , 0.25], dtype=float32)
    """
    played = plays > 0
    prior = np.full(len(plays), unplayed)
    prior[played] = np.log(plays[played] / (total or plays.sum()))
    return prior.astype(np.float32)


def first_plays(train: Interactions) -> NDArray[np.int64]:
    """Return the second of each track's first play, -1 unknown, (tracks,)."""
    items = len(train.track_ids)
    if train.times is None:
        return np.full(items, -1, np.int64)
    latest = np.iinfo(np.int64).max
    seen = np.full(items, latest)
    np.minimum.at(seen, train.tracks, train.times)
    return np.where(seen == latest, -1, seen)


def embed_content(
    content: Content, model: ItemEmbedder, plays: NDArray[np.int64], first_seen: NDArray[np.int64]
) -> Parts:
    """Return the rows of a catalogue for some content.

    Args:
        content: Tracks and their vectors.
        model: Item tower.
        plays: Plays of each track, (tracks,).
        first_seen: Second of the first play, -1 unknown, (tracks,).

    Raises:
        DataError: If a vector is not finite.
        FingerprintError: If the vectors have another length than the tower takes.
    """
    bad = np.flatnonzero(~np.isfinite(content.vectors).all(axis=1))
    if len(bad):
        name = content.track_ids[bad[0]]
        raise DataError(f"track {name!r}: its vector holds NaN or infinity. Export its song again.")
    if isinstance(model, TowerModel) and model.clips:
        clips = content.clip_vectors(model.clips)
        vectors: ItemVectors = model.embed_items(content.vectors, content.track_ids, clips)
    else:
        vectors = model.embed_items(content.vectors, content.track_ids)
    columns = {"track_id": pa.array(content.track_ids, pa.string())}
    for name in (*TAGS, "path"):
        there = name in content.tags.column_names
        column = content.tags[name] if there else pa.nulls(len(plays), pa.string())
        columns[name] = column.cast(pa.string()).fill_null("")
    columns["first_seen"] = pa.array(first_seen, pa.int64(), mask=first_seen < 0)
    columns["plays"] = pa.array(plays, pa.int64())
    projected, history = (np.asarray(one, np.float32) for one in (vectors.projected, vectors.history))
    return Parts(pa.table(columns), projected, history)
