"""Adding, replacing and removing tracks of a live catalogue, without training anything again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.disk.files import fingerprint_of
from audiomae.errors import DataError, FingerprintError
from audiomae.listening.content import Content
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.files import Parts, changing, merge_parts
from audiomae.recommend.catalogue.items import ItemEmbedder, embed_content

__all__ = ["add_tracks", "remove_tracks", "replace_tracks"]

_SAME = 1e-5
"""Difference, relative to the largest entry, up to which two machines may compute one vector."""


class Change(NamedTuple):
    """What a change has done."""

    after: Catalogue
    """The catalogue as it is now."""
    before: int
    """Tracks it had."""
    changed: int
    """Tracks added, replaced or removed."""
    there: int = 0
    """Tracks to add that were there already, with the same vectors."""
    gone: int = 0
    """Tracks to remove that the last change has removed already."""


def add_tracks(folder: Path | str, content: Content, model: ItemEmbedder) -> Change:
    """Add tracks that are not in the catalogue yet; they have no play, so the prior of such tracks.

    Tracks that are there with the same vectors are left as they are, so an addition may be run again.

    Raises:
        FingerprintError: If the vectors are of another encoder or the towers are others.
        DataError: If a vector is not finite or a track is there with another vector.
    """
    with changing(folder):
        now = Catalogue.open(folder)
        _check_origin(now, content, model)
        _check_names(content.track_ids)
        plays = np.zeros(len(content.track_ids), np.int64)
        parts = embed_content(content, model, plays, np.full(len(plays), -1, np.int64))
        rows = np.array([now.row_of.get(name, -1) for name in content.track_ids], np.int64)
        _check_same(now, parts, rows)
        new, kept = rows < 0, np.ones(len(now), dtype=bool)
        added, there = int(new.sum()), int((~new).sum())
        if not added:
            return Change(now, len(now), 0, there)
        after = _carry(now, kept, merge_parts(_keep(now.parts, kept), _keep(parts, new)))
        return Change(after, len(now), added, there)


def replace_tracks(folder: Path | str, content: Content, model: ItemEmbedder) -> Change:
    """Give tracks of the catalogue new vectors and tags; their plays stay.

    Raises:
        FingerprintError: If the vectors are of another encoder or the towers are others.
        DataError: If a vector is not finite or a track is not there.
    """
    with changing(folder):
        now = Catalogue.open(folder)
        _check_origin(now, content, model)
        rows = _rows_of(now, content.track_ids)
        kept = np.ones(len(now), dtype=bool)
        kept[rows] = False
        parts = embed_content(content, model, now.plays[rows], now.first_seen[rows])
        after = _carry(now, kept, merge_parts(_keep(now.parts, kept), parts))
        return Change(after, len(now), len(rows))


def remove_tracks(folder: Path | str, tracks: Sequence[str]) -> Change:
    """Take tracks out; the last removal may be asked for again, and then finds nothing to do.

    Args:
        folder: Folder of the catalogue.
        tracks: Which: their ids, paths or ends of those, or titles that no other has.

    Raises:
        DataError: If one is not there, is named twice, or none would be left.
    """
    with changing(folder):
        now, removed = Catalogue.open(folder), fingerprint_of(sorted(tracks))
        if now.meta.get("removed") == removed:
            return Change(now, len(now), 0, gone=len(tracks))
        rows = np.array([now.find(name) for name in tracks], np.int64)
        _check_names([now.track_ids[row] for row in rows])
        kept = np.ones(len(now), dtype=bool)
        kept[rows] = False
        if not kept.any():
            raise DataError(f"{folder}: removing all {len(now)} tracks leaves none. Keep one at least.")
        after = _carry(now, kept, _keep(now.parts, kept), removed=removed)
        return Change(after, len(now), len(rows))


def _keep(parts: Parts, kept: NDArray[np.bool_]) -> Parts:
    return Parts(parts.items.filter(pa.array(kept)), parts.projected[kept], parts.history[kept])


def _carry(now: Catalogue, kept: NDArray[np.bool_], parts: Parts, *, removed: str = "") -> Catalogue:
    """Write `parts`, which hold the `kept` rows of this version and others, with the lists if there are any."""
    settings = now.meta["index"]
    if settings is None:
        return now.rewrite(parts, None, removed=removed)
    after = Catalogue(now.folder, now.meta, parts)
    moved = np.array([after.row_of.get(name, -1) for name in now.track_ids], dtype=np.int64)
    moved[~kept] = -1
    new = np.setdiff1d(np.arange(len(after)), moved)
    lists = now.read_lists().carry(moved, new, after.searched_vectors(settings)[new])
    return now.rewrite(replace(parts, queries=now.parts.queries, lists=lists), settings, removed=removed)


def _check_origin(now: Catalogue, content: Content, model: ItemEmbedder) -> None:
    if model.fingerprint != now.meta["towers_fingerprint"]:
        raise FingerprintError(
            f"{now.folder}: was made with towers {now.meta['towers_fingerprint']}, these are "
            f"{model.fingerprint}. Use the recommender folder that the catalogue lies in."
        )
    dim, encoder = int(content.vectors.shape[1]), content.model_fingerprint
    if encoder != now.meta["encoder_fingerprint"]:
        raise FingerprintError(
            f"the vectors are of encoder {encoder}, the catalogue's of {now.meta['encoder_fingerprint']}. "
            "Export the songs with the encoder and settings that the towers were trained on."
        )
    if dim != now.meta["content_dim"]:
        raise FingerprintError(
            f"the vectors have {dim} entries, the catalogue's have {now.meta['content_dim']}. "
            "Export the songs with the encoder and settings that the towers were trained on."
        )


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"track {name!r} is named twice. Name each track once.")
        seen.add(name)
    if not seen:
        raise DataError("no track is named; name one at least.")


def _rows_of(now: Catalogue, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of tracks that must be there."""
    _check_names(names)
    for name in names:
        if name not in now.row_of:
            raise DataError(
                f"track {name!r} is not among the {len(now)} of {now.folder}. New tracks are added with --add."
            )
    return np.array([now.row_of[name] for name in names], np.int64)


def _check_same(now: Catalogue, parts: Parts, rows: NDArray[np.int64]) -> None:
    """Refuse tracks to add that are there, at `rows`, with other vectors than `parts` has."""
    for place in np.flatnonzero(rows >= 0).tolist():
        for mine, given in ((now.projected, parts.projected), (now.history, parts.history)):
            held = mine[rows[place]]
            if np.abs(held - given[place]).max() > _SAME * np.abs(held).max():
                name = parts.items["track_id"][place].as_py()
                raise DataError(
                    f"track {name!r} is already in {now.folder}, with another vector. Give it new vectors by "
                    "--replace."
                )
