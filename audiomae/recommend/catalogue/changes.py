"""Adding, replacing and removing tracks of a live catalogue, without training anything again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.disk.files import locked
from audiomae.errors import DataError, FingerprintError
from audiomae.listening.content import Content
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.files import Parts, merge_parts
from audiomae.recommend.catalogue.items import ItemTower, embed_content

__all__ = ["add_tracks", "remove_tracks", "replace_tracks"]


def add_tracks(folder: Path | str, content: Content, model: ItemTower) -> Catalogue:
    """Add tracks that are not in the catalogue yet; they have no play, so the prior of such tracks.

    Raises:
        FingerprintError: If the vectors are of another encoder or the towers are others.
        DataError: If a vector is not finite or a track is already there.
    """
    return _change(Path(folder), content, model, known=False)


def replace_tracks(folder: Path | str, content: Content, model: ItemTower) -> Catalogue:
    """Give tracks of the catalogue new vectors and tags; their plays stay.

    Raises:
        FingerprintError: If the vectors are of another encoder or the towers are others.
        DataError: If a vector is not finite or a track is not there.
    """
    return _change(Path(folder), content, model, known=True)


def remove_tracks(folder: Path | str, track_ids: Sequence[str]) -> Catalogue:
    """Take tracks out.

    Raises:
        DataError: If one is not there, is named twice, or none would be left.
    """
    with locked(folder):
        now = Catalogue.open(folder)
        _check_names(now, track_ids, known=True)
        kept = np.ones(len(now), dtype=bool)
        kept[[now.row_of[name] for name in track_ids]] = False
        if not kept.any():
            raise DataError(f"{folder}: removing all {len(now)} tracks leaves none. Keep one at least.")
        return _carry(now, kept, _keep(now, kept))


def _change(folder: Path, content: Content, model: ItemTower, *, known: bool) -> Catalogue:
    with locked(folder):
        now = Catalogue.open(folder)
        _check_origin(now, content, model)
        names = content.track_ids
        _check_names(now, names, known=known)
        plays, seen = np.zeros(len(names), np.int64), np.full(len(names), -1, np.int64)
        kept = np.ones(len(now), dtype=bool)
        if known:
            rows = [now.row_of[name] for name in names]
            plays, seen, kept[rows] = now.plays[rows], now.first_seen[rows], False
        return _carry(now, kept, merge_parts(_keep(now, kept), embed_content(content, model, plays, seen)))


def _keep(now: Catalogue, kept: NDArray[np.bool_]) -> Parts:
    return Parts(now.items.filter(pa.array(kept)), now.projected[kept], now.history[kept])


def _carry(now: Catalogue, kept: NDArray[np.bool_], parts: Parts) -> Catalogue:
    """Write `parts`, which hold the `kept` rows of this version and others, with the lists if there are any."""
    settings = now.meta["index"]
    if settings is None:
        return now.rewrite(parts, None)
    after = Catalogue(now.folder, now.meta, parts)
    moved = np.array([after.row_of.get(name, -1) for name in now.track_ids], dtype=np.int64)
    moved[~kept] = -1
    new = np.setdiff1d(np.arange(len(after)), moved)
    lists = now.read_lists().carry(moved, new, after.searched_vectors(settings)[new])
    return now.rewrite(replace(parts, queries=now.parts.queries, lists=lists), settings)


def _check_origin(now: Catalogue, content: Content, model: ItemTower) -> None:
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


def _check_names(now: Catalogue, names: Sequence[str], *, known: bool) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"track {name!r} is named twice. Name each track once.")
        seen.add(name)
        if known and name not in now.row_of:
            raise DataError(
                f"track {name!r} is not among the {len(now)} of {now.folder}. New tracks are added with --add."
            )
        if not known and name in now.row_of:
            raise DataError(f"track {name!r} is already in {now.folder}. Give it new vectors by --replace.")
    if not seen:
        raise DataError("no track is named; name one at least.")
