"""Trained towers as others meet them: rows of users and items in, vectors out; saved and loaded whole."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomae.checks import require, require_all
from audiomae.disk.files import fingerprint_of, read_json, write_json
from audiomae.disk.records import as_record
from audiomae.disk.tensors import check_tensors, read_tensors, write_tensors
from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.listening.content import ClipVectors
from audiomae.recommend.towers.features import UserFeatures
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["TowerModel"]

FORMAT = "audiomae-towers/1"

Floats = NDArray[np.float32]

_BLOCK = 4096
LARGEST = 1 << 20
"""Width of a layer and length of a vector in a file, at most."""
MOST_LAYERS = 1000


@dataclasses.dataclass(frozen=True)
class TowersFile:
    """What config.json must say."""

    towers: TowerSettings
    values: int
    meta: dict[str, Any]
    fingerprint: str

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("values", self.values, least=1, most=LARGEST)
        require_all(self.towers, "dim", "hidden", prefix="towers.", most=LARGEST)
        require("towers.layers", self.towers.layers, most=MOST_LAYERS)


@dataclasses.dataclass(frozen=True)
class TrackNames:
    """What features.json must say of the tracks."""

    track_ids: list[str]


class Projection(NamedTuple):
    """Items as the towers see them."""

    projected: Floats
    """Item vectors, not normalised, (n, dim)."""
    history: Floats
    """What each adds to the history of a user who played it, (n, dim)."""


class TowerModel:
    """Two trained towers.

    Everything is computed in float64 and in rows that do not see each other, so a batch gives what its rows give.

    Args:
        towers: The network.
        features: How users become numbers.
        track_ids: Tracks with an id embedding, sorted.
        meta: Whatever else should be kept: fingerprints, gamma, counts (JSON values).

    Attributes:
        config: Sizes of the towers.
        features: How users become numbers.
        dim: Length of the vectors of users and items.
        scale: Factor of a cosine in a logit.
        bias: What is added to it.
        meta: Whatever else was kept.
        fingerprint: Stands for weights, vocabularies and sizes.
    """

    def __init__(
        self, towers: Towers, features: UserFeatures, track_ids: Sequence[str], meta: Mapping[str, Any]
    ) -> None:
        self.config = towers.settings
        self.features = features
        self.track_ids = list(track_ids)
        self.meta = dict(meta)
        self.towers = copy.deepcopy(towers).cpu().float().eval().requires_grad_(False)
        self.dim = self.config.dim
        self.scale = float(self.towers.scale)
        self.bias = float(self.towers.bias)
        self.fingerprint = fingerprint_of(*self._described(), *_bytes_of(self.towers.state_dict()))
        self._exact = copy.deepcopy(self.towers).double()
        self._code = {name: code for code, name in enumerate(self.track_ids, 1)}

    def __repr__(self) -> str:
        """Show the sizes."""
        return (
            f"TowerModel(dim={self.dim}, values={self.values}, tracks={len(self.track_ids)}, "
            f"features={self.features}, fingerprint={self.fingerprint})"
        )

    @property
    def values(self) -> int:
        """Length of the content vectors it takes."""
        return len(self.towers.item.mean)

    @property
    def clips(self) -> int:
        """Clips of a track that attention pools; 0 where it takes the mean vector."""
        return self.config.attention_clips

    def embed_items(
        self,
        content: Floats,
        track_ids: Sequence[str],
        clips: ClipVectors | None = None,
    ) -> Projection:
        """Turn the content of tracks into item vectors.

        A track adds its id embedding only where it was played in the training; any other is its content alone.

        Args:
            content: One vector a track, (n, values).
            track_ids: Their names.
            clips: Their clips, for a model that pools them by attention; without them the mean vector stands for
                the one clip.

        Raises:
            DataError: If a vector holds NaN or infinity; the track is named.
            FingerprintError: If the vectors are of another length.
        """
        content = np.asarray(content, dtype=np.float32)
        if content.ndim != 2 or content.shape[1] != self.values:
            raise FingerprintError(
                f"content vectors have {content.shape[-1]} values; these towers take {self.values}. Export them "
                "with the encoder and the pooling that the towers were trained on."
            )
        if len(bad := np.flatnonzero(~np.isfinite(content).all(axis=1))):
            raise DataError(
                f"track {track_ids[bad[0]]!r}: its vector holds NaN or infinity ({len(bad)} of {len(content)} do). "
                "Export it again."
            )
        codes = torch.tensor([self._code.get(name, 0) for name in track_ids], dtype=torch.int64)
        out = Projection(
            np.empty((len(content), self.dim), np.float32), np.empty((len(content), self.dim), np.float32)
        )
        for first in range(0, len(content), _BLOCK):
            rows = slice(first, first + _BLOCK)
            part = None if clips is None else ClipVectors(clips.vectors[rows], clips.there[rows])
            projected, history = self._embed_rows(torch.from_numpy(content[rows]).double(), codes[rows], part)
            out.projected[rows], out.history[rows] = projected.numpy(), history.numpy()
        return out

    @torch.inference_mode()
    def _embed_rows(self, content: Tensor, codes: Tensor, clips: ClipVectors | None) -> tuple[Tensor, Tensor]:
        item = self._exact.item
        history = projected = item.project(content)
        if self.clips and clips is not None:
            there = torch.from_numpy(clips.there)
            projected = item.project(item.pool(torch.from_numpy(clips.vectors).double(), there))
        trained = (codes > 0)[:, None]
        if item.own is not None:
            projected = projected + item.own(codes) * trained
        if item.heard is not None:
            history = history + item.heard(codes) * trained
        return projected, history

    @torch.inference_mode()
    def embed_users(
        self,
        fields: pa.Table | Sequence[Mapping[str, Any]],
        history: Floats,
        has_history: NDArray[np.bool_],
    ) -> Floats:
        """Turn users into unit vectors.

        Args:
            fields: A row or a dict a user; columns and values that are missing or new count as unknown.
            history: Weighted mean of the `history` rows of what they played, (n, dim); zeros where nothing.
            has_history: Whether they played anything, (n,).

        Returns:
            (n, dim), each of length 1.

        Raises:
            DataError: If a numeric field is not a number.
        """
        codes, numbers = self.features.encode(fields)
        out = np.empty((len(codes), self.dim), np.float32)
        for first in range(0, len(codes), _BLOCK):
            rows = slice(first, first + _BLOCK)
            has = torch.from_numpy(np.ascontiguousarray(has_history[rows], dtype=np.bool_))
            past = torch.from_numpy(np.asarray(history[rows], dtype=np.float64)) * has[:, None]
            vectors = self._exact.user(
                torch.from_numpy(codes[rows]), torch.from_numpy(numbers[rows]).double(), past, has
            )
            out[rows] = vectors.numpy()
        return out

    def _described(self) -> list[Any]:
        return [dataclasses.asdict(self.config), self.features.to_json(), self.track_ids, self.values]

    def save(self, folder: Path | str) -> None:
        """Write config.json, towers.safetensors and features.json; config.json comes last."""
        folder = Path(folder)
        write_tensors(folder / "towers.safetensors", self.towers.state_dict())
        write_json(folder / "features.json", {**self.features.to_json(), "track_ids": self.track_ids})
        described = {
            "format": FORMAT,
            "towers": dataclasses.asdict(self.config),
            "values": self.values,
            "scale": self.scale,
            "bias": self.bias,
            "meta": self.meta,
            "fingerprint": self.fingerprint,
        }
        write_json(folder / "config.json", described)

    @classmethod
    def load(cls, folder: Path | str) -> TowerModel:
        """Load what `save` wrote.

        Raises:
            MissingError: If a file is not there, cut short or damaged.
            DataError: If an entry or a tensor is of another type or size, or not finite.
            FingerprintError: If the files were not written together.
        """
        folder = Path(folder)
        described = read_json(folder / "config.json", format=FORMAT)
        kept = read_json(folder / "features.json")
        said = as_record(described, TowersFile, where=folder / "config.json")
        names = as_record(kept, TrackNames, where=folder / "features.json").track_ids
        tensors = read_tensors(folder / "towers.safetensors")
        try:
            features = UserFeatures.from_json(kept)
            settings = TowerSettings(
                **described["towers"]
            )  # as it was written: 90 and 90.0 have two fingerprints
            with torch.device("meta"):  # takes no memory, whatever sizes the file names
                wanted = Towers(features, said.values, len(names), settings).state_dict()
            check_tensors(folder / "towers.safetensors", tensors, wanted)
            towers = Towers(features, said.values, len(names), settings)
            towers.load_state_dict(tensors)
            model = cls(towers, features, names, said.meta)
        except (KeyError, TypeError, RuntimeError) as error:
            raise MissingError(
                f"{folder}: its files do not fit together ({str(error).splitlines()[0]}). Take another copy."
            ) from error
        if model.fingerprint != said.fingerprint:
            raise FingerprintError(
                f"{folder}: towers.safetensors and features.json are not those config.json was written with. Copy "
                "all three together, or train again."
            )
        return model


def _bytes_of(tensors: Mapping[str, Tensor]) -> list[bytes]:
    return [value.detach().cpu().contiguous().numpy().tobytes() for _, value in sorted(tensors.items())]
