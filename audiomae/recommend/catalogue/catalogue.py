"""The live catalogue: every track's 64-d vectors, tags and plays, changed without training anything again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.corpus.names import find_track
from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.files import Parts, changing, read_version, write_version
from audiomae.recommend.catalogue.index import Index, search_vectors
from audiomae.recommend.catalogue.inverted_lists import InvertedLists
from audiomae.recommend.catalogue.items import (
    ItemEmbedder,
    embed_content,
    first_plays,
    log_prior_of,
    unplayed_log_prior,
)
from audiomae.vectors.search import unit_rows

__all__ = ["Catalogue"]

_ORIGIN = (
    "towers_fingerprint",
    "encoder_fingerprint",
    "content_fingerprint",
    "content_dim",
    "total_plays",
    "unplayed_log_prior",
    "index",
)


@dataclass(frozen=True)
class Catalogue:
    """An open catalogue. Rows are in the order of the sorted track ids.

    Attributes:
        folder: Where it lies.
        meta: What `catalogue.json` says.
        parts: Its table and arrays.
    """

    folder: Path
    meta: dict[str, Any]
    parts: Parts

    @classmethod
    def create(
        cls,
        folder: Path | str,
        content: Content,
        model: ItemEmbedder,
        train: Interactions,
        *,
        gamma: float = 1.0,
        first_seen: NDArray[np.int64] | None = None,
    ) -> Catalogue:
        """Write the catalogue of all tracks of `content`; an older one in the folder is replaced whole.

        Args:
            folder: Where to write.
            content: Tracks and their vectors.
            model: Item tower.
            train: Plays that popularity is counted from; its track codes are rows of `content`.
            gamma: Factor of log q in the score; what tracks without a play stand at depends on it.
            first_seen: Second at which each track was first played, -1 unknown; counted from `train` otherwise.

        Raises:
            DataError: If there is no track, a vector is not finite, or `train` is of other tracks.
        """
        if not len(content.track_ids):
            raise DataError(
                "the content holds no track; a catalogue needs one at least. Export some vectors."
            )
        if list(train.track_ids) != list(content.track_ids):
            raise DataError("the interactions are not aligned to the content; align them first.")
        count = len(content.track_ids)
        plays = np.bincount(train.tracks, minlength=count).astype(np.int64)
        meta = {
            "towers_fingerprint": model.fingerprint,
            "encoder_fingerprint": content.model_fingerprint,
            "content_fingerprint": content.fingerprint,
            "content_dim": int(content.vectors.shape[1]),
            "total_plays": int(plays.sum()),
            "unplayed_log_prior": unplayed_log_prior(plays, gamma=gamma),
            "index": None,
        }
        if first_seen is None:
            first_seen = first_plays(train)
        parts = embed_content(content, model, plays, first_seen)
        folder = Path(folder)
        with changing(folder):
            return cls(folder, write_version(folder, meta, parts), parts)

    @classmethod
    def open(cls, folder: Path | str) -> Catalogue:
        """Open the current version.

        Raises:
            MissingError: If a file is missing, cut short or damaged.
            DataError: If the folder is of another format, or its ids or vectors make no sense.
            FingerprintError: If `catalogue.json` was edited.
        """
        return cls(Path(folder), *read_version(Path(folder)))

    def __len__(self) -> int:
        return int(self.parts.items.num_rows)

    @property
    def items(self) -> pa.Table:
        """A row a track: track_id, title, artist, album, genre, path ("" unknown), first_seen (null unknown), plays."""
        return self.parts.items

    @property
    def projected(self) -> NDArray[np.float32]:
        """Item vectors as the item tower gives them, (items, dim)."""
        return self.parts.projected

    @property
    def history(self) -> NDArray[np.float32]:
        """What the history of a user is a weighted mean of, (items, dim)."""
        return self.parts.history

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return int(self.projected.shape[1])

    @property
    def fingerprint(self) -> str:
        """Stands for this version's bytes and what they were made from."""
        return str(self.meta["fingerprint"])

    @cached_property
    def track_ids(self) -> list[str]:
        """The tracks' names, sorted."""
        return list(self.items["track_id"].to_pylist())

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each track id."""
        return {name: row for row, name in enumerate(self.track_ids)}

    def find(self, track: str) -> int:
        """Return the row of a track.

        Args:
            track: Its id, its path or the end of that, or its title where no other has it.

        Raises:
            DataError: If there is none of this name, or several; the line says which.
        """
        if track in self.row_of:
            return self.row_of[track]
        paths, titles = (self.items[name].to_pylist() for name in ("path", "title"))
        return find_track(track, self.track_ids, paths, titles, "the catalogue")

    @cached_property
    def plays(self) -> NDArray[np.int64]:
        """Plays of each track among those trained on, (items,)."""
        return np.asarray(self.items["plays"].to_numpy(), dtype=np.int64)

    @cached_property
    def first_seen(self) -> NDArray[np.int64]:
        """Second of the first play, -1 unknown, (items,)."""
        return np.asarray(self.items["first_seen"].fill_null(-1).to_numpy(), dtype=np.int64)

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """`projected` with rows of length 1, (items, dim)."""
        return unit_rows(self.projected)

    @cached_property
    def log_prior(self) -> NDArray[np.float32]:
        """Log share of the plays trained on, (items,); it stays the same when other tracks come and go."""
        total, unplayed = self.meta["total_plays"], self.meta["unplayed_log_prior"]
        return log_prior_of(self.plays, unplayed=unplayed, total=total)

    def build_lists(
        self,
        queries: NDArray[np.float32],
        *,
        scale: float,
        gamma: float,
        target: float = 0.97,
        k: int = 100,
        seed: int = 0,
    ) -> Catalogue:
        """Give a large catalogue inverted lists, tuned to a recall on held-out queries.

        Args:
            queries: Vectors of users to tune on, length 1, (queries, dim).
            scale: Factor of the cosine.
            gamma: Factor of log q.
            target: Least recall of the k best items.
            k: Best items to find.
            seed: Decides the clustering.
        """
        with changing(self.folder):
            now = Catalogue.open(self.folder)
            settings = {"scale": scale, "gamma": gamma, "target": target, "k": k}
            lists = InvertedLists.build(now.searched_vectors(settings), seed=seed)
            return now.rewrite(replace(now.parts, queries=queries.astype(np.float32), lists=lists), settings)

    def index(self, *, scale: float, gamma: float) -> Index:
        """Return what searches it: with inverted lists where it has some, by the exact product otherwise.

        Raises:
            FingerprintError: If the lists were made for another scale or gamma.
        """
        settings, lists = self.meta["index"], None
        if settings is not None:
            if (settings["scale"], settings["gamma"]) != (scale, gamma):
                raise FingerprintError(
                    f"{self.folder}: its index searches scale {settings['scale']:.6g} and gamma "
                    f"{settings['gamma']:.6g}, the towers were trained to {scale:.6g} and {gamma:.6g}. "
                    "Make the catalogue again with audiomae train-towers."
                )
            lists = self.read_lists()
        return Index(self.unit, self.log_prior, scale=scale, gamma=gamma, lists=lists)

    def rewrite(self, parts: Parts, settings: dict[str, Any] | None, *, removed: str = "") -> Catalogue:
        """Write `parts` as the next version; lists among them are tuned again. The folder is held by the caller.

        Args:
            parts: What to write.
            settings: Of the lists; None for none.
            removed: Stands for the tracks that this change takes out, so that it may be asked for again.
        """
        if settings is not None and parts.lists is not None and parts.queries is not None:
            after, queries, lists = Catalogue(self.folder, self.meta, parts), parts.queries, parts.lists
            exact = Index(after.unit, after.log_prior, scale=settings["scale"], gamma=settings["gamma"])
            truth = exact.search(queries, settings["k"]).rows
            left = np.column_stack([queries, np.ones(len(queries), np.float32)])
            probes, recall = lists.tune(left, truth, settings["target"])
            measured = {"probes": probes, "cells": lists.cells, "recall": recall, "queries": len(queries)}
            settings = {**settings, **measured}
        origin = {name: self.meta[name] for name in _ORIGIN} | {"index": settings}
        if removed:
            origin["removed"] = removed
        return Catalogue(self.folder, write_version(self.folder, origin, parts), parts)

    def searched_vectors(self, settings: dict[str, Any]) -> NDArray[np.float32]:
        """Return what lists with these settings hold, (items, dim + 1)."""
        scale, gamma = settings["scale"], settings["gamma"]
        return search_vectors(self.unit, self.log_prior, scale=scale, gamma=gamma)

    def read_lists(self) -> InvertedLists:
        """Read the inverted lists of this version.

        Raises:
            MissingError: If the file is not there, damaged, or of other tracks.
        """
        path = self.folder / self.meta["version"] / "index.faiss"
        lists = InvertedLists.read(path, self.meta["index"]["probes"])
        if len(lists) != len(self):
            raise MissingError(
                f"{path}: files {len(lists)} tracks of {len(self)}. Make the catalogue again with audiomae "
                "train-towers."
            )
        return lists
