"""A recommender's folder: everything that opens, writes or checks one goes through here.

recommender/
    recommender.json   format, scale and gamma of the scores, what it was made of; its training writes it last
    towers/            the two towers (`towers/model.py`)
    tables/            train, validation and test .parquet, users.parquet; protocol.json: how they were split
    catalogue/         the live catalogue, changed without training (`catalogue/files.py`)
    ranker/            the second stage, where train-ranker left one (`ranking/ranker.py`)
    encoder/           the audio encoder, where it was trained with the towers
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.disk.files import digest_of, fingerprint_of, read_json, write_atomically, write_json
from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.listening.tables import Interactions, read_users
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.ranking.ranker import Ranker
from audiomae.recommend.towers.model import TowerModel

__all__ = ["SLICES", "RecommenderFolder"]

FORMAT = "audiomae-recommender/1"
SLICES = ("train", "validation", "test")
_DIGESTS = "tables_digests"
"""Entry of `recommender.json`: file of tables/ → digest of its bytes."""
_SLICE = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("timestamp", pa.int64()),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)
_TRAIN_AGAIN = "Run audiomae train-towers again."


class TrainedParts(NamedTuple):
    """What a training has left, checked to belong together."""

    meta: dict[str, Any]
    """What `recommender.json` says."""
    model: TowerModel
    """The towers."""
    catalogue: Catalogue
    """The items."""


@dataclass(frozen=True)
class RecommenderFolder:
    """Where the parts of a recommender lie, and how each is read and written.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def towers(self) -> Path:
        """Folder of the towers."""
        return self.path / "towers"

    @property
    def tables(self) -> Path:
        """Folder of the plays and users."""
        return self.path / "tables"

    @property
    def catalogue(self) -> Path:
        """Folder of the live catalogue."""
        return self.path / "catalogue"

    @property
    def ranker(self) -> Path:
        """Folder of the second stage; there may be none."""
        return self.path / "ranker"

    @property
    def encoder(self) -> Path:
        """Run folder of an audio encoder that was trained with the towers; there may be none."""
        return self.path / "encoder"

    def read_meta(self) -> dict[str, Any]:
        """Return what `recommender.json` says.

        Raises:
            MissingError: If it is not there, cut short, or the training has not finished.
            DataError: If it is of another format, or a number that every score needs is none.
        """
        path = self.path / "recommender.json"
        if (self.path / "run.json").exists() and not path.exists():
            raise MissingError(
                f"{self.path}: its training has not finished. Run the same audiomae train-towers again."
            )
        meta = read_json(path, format=FORMAT)
        for name, least in (("scale", 1e-30), ("gamma", -math.inf)):
            value = meta.get(name)
            if not isinstance(value, int | float) or not math.isfinite(value) or value < least:
                wanted = "a number" if name == "gamma" else "a number above 0"
                raise DataError(f"{path}: {name} is {value!r}; it must be {wanted}. {_TRAIN_AGAIN}")
        for name in ("towers_fingerprint", "fingerprint"):
            if not isinstance(meta.get(name), str):
                raise DataError(f"{path}: {name} is {meta.get(name)!r}; it must be text. {_TRAIN_AGAIN}")
        return meta

    def open_towers(self) -> TowerModel:
        """Return the towers.

        Raises:
            MissingError: If a file is missing or damaged.
            FingerprintError: If its files were not written together.
        """
        return TowerModel.load(self.towers)

    def open_catalogue(self) -> Catalogue:
        """Return the live catalogue.

        Raises:
            MissingError: If a file is missing, cut short or damaged.
            DataError: If it is of another format, or its ids or vectors make no sense.
            FingerprintError: If its description was edited.
        """
        return Catalogue.open(self.catalogue)

    def open_trained(self) -> TrainedParts:
        """Return towers and catalogue of a finished training.

        Raises:
            MissingError: If a file is missing, cut short or damaged.
            FingerprintError: If the parts do not belong together.
        """
        meta, model, catalogue = self.read_meta(), self.open_towers(), self.open_catalogue()
        for part, found in (("recommender.json", meta), ("catalogue", catalogue.meta)):
            if found["towers_fingerprint"] != model.fingerprint:
                raise FingerprintError(
                    f"{self.path / part}: was made with towers {found['towers_fingerprint']}, those in "
                    f"{self.towers} are {model.fingerprint}. Run audiomae train-towers into another folder."
                )
        return TrainedParts(meta, model, catalogue)

    def read_plays(self, name: str) -> Interactions:
        """Return one slice of the plays; it may be empty.

        Args:
            name: One of `SLICES`.

        Raises:
            MissingError: If the file is missing, cut short, damaged, or not the one that the training wrote.
        """
        if name not in SLICES:
            raise ValueError(f"no slice {name!r}; there are {', '.join(SLICES)}")
        self._refuse_changed(f"{name}.parquet")
        return _read_slice(self.tables / f"{name}.parquet")

    def read_users(self) -> pa.Table:
        """Return the users' fields, user_id first and sorted.

        Raises:
            MissingError: If the file is missing, damaged, or not the one that the training wrote.
        """
        path = self.tables / "users.parquet"
        self._refuse_changed(path.name)
        try:
            return read_users(path)
        except DataError as error:
            raise MissingError(f"{str(error).rstrip('.')}. {_TRAIN_AGAIN}") from None

    def _refuse_changed(self, name: str) -> None:
        """Refuse a table whose bytes are not those that `recommender.json` names; earlier versions named none."""
        about, path = self.path / "recommender.json", self.tables / name
        digests = read_json(about, format=FORMAT).get(_DIGESTS) if about.exists() else None
        stored = digests.get(name) if isinstance(digests, dict) else None
        if stored is not None and path.is_file() and digest_of([path]) != stored:
            raise MissingError(f"{path}: damaged, its bytes are not those that were written. {_TRAIN_AGAIN}")

    def read_protocol(self) -> dict[str, Any]:
        """Return how the plays were split.

        Raises:
            MissingError: If the file is missing or cut short.
        """
        return read_json(self.tables / "protocol.json")

    @property
    def has_ranker(self) -> bool:
        """Whether a second stage was trained, in use or not."""
        return (self.ranker / "ranker.json").exists()

    def read_ranker(self, model: TowerModel) -> Ranker | None:
        """Return the second stage; None where there is none, or its order is not kept.

        Raises:
            MissingError: If a file is missing or cut short, or LightGBM cannot be loaded.
            FingerprintError: If it was trained on other towers or features.
        """
        ranker = Ranker.load(self.ranker, model.fingerprint) if self.has_ranker else None
        return ranker if ranker is not None and ranker.in_use else None

    def write_tables(
        self, slices: Mapping[str, Interactions], users: pa.Table, protocol: Mapping[str, Any]
    ) -> None:
        """Write the plays, the users and how they were split.

        Args:
            slices: The plays of each of `SLICES`.
            users: Fields of all users, sorted by user_id.
            protocol: What is said of the split (JSON values).
        """
        for name in SLICES:
            slices[name].write(self.tables / f"{name}.parquet")
        with write_atomically(self.tables / "users.parquet") as temporary:
            pq.write_table(users, temporary)
        write_json(self.tables / "protocol.json", dict(protocol))

    def write_meta(
        self, model: TowerModel, *, gamma: float, about: Mapping[str, Any], made_of: str = ""
    ) -> dict[str, Any]:
        """Write `recommender.json`, which makes the folder count; return what it says.

        Args:
            model: The towers in it.
            gamma: Factor of log q in a score.
            about: What else is said (JSON values).
            made_of: Fingerprint of what it was trained on.
        """
        said: dict[str, Any] = {
            "format": FORMAT,
            **about,
            "scale": model.scale,
            "gamma": gamma,
            "bias": model.bias,
            "dim": model.dim,
            "towers_fingerprint": model.fingerprint,
        }
        said["fingerprint"] = fingerprint_of(said, made_of)
        written = [self.tables / f"{name}.parquet" for name in (*SLICES, "users")]
        said[_DIGESTS] = {path.name: digest_of([path]) for path in written if path.exists()}
        write_json(self.path / "recommender.json", said)
        return said


def _read_slice(path: Path) -> Interactions:
    try:
        table = read_parquet(path, _SLICE, again=_TRAIN_AGAIN)
    except MissingError:
        raise
    except DataError as error:
        raise MissingError(str(error)) from None
    users, tracks = (table[key].combine_chunks().dictionary_encode() for key in ("user_id", "track_id"))
    times, weights = table["timestamp"], table["weight"]
    return Interactions.build(
        users.dictionary.to_pylist(),
        tracks.dictionary.to_pylist(),
        users.indices.to_numpy(zero_copy_only=False),
        tracks.indices.to_numpy(zero_copy_only=False),
        None if not len(table) or times.null_count else times.to_numpy(),
        weights.to_numpy(),
    )
