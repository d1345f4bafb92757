"""What a pretraining is of, and what it leaves behind."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from audiomae.corpus.corpus import Corpus
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.embedder import Embedder
from audiomae.model.overrides import SizeName
from audiomae.model.pooling import Pool

__all__ = ["HeldOutScores", "embedder_of", "model_entries", "sizes_of_run", "with_projection"]

PROJECTION = 128
"""Length of the unit vector that the clip-level term compares, where nobody says another."""


@dataclass(frozen=True)
class HeldOutScores:
    """Mean squared error on masked patches of tracks that were not trained on; 1 is a patch's own variance.

    Attributes:
        held_out_loss: Of the model.
        held_out_nearest_column: Of repeating the nearest visible patch in time.
        held_out_position_mean: Of each place's mean patch.
    """

    held_out_loss: float
    held_out_nearest_column: float
    held_out_position_mean: float


def with_projection(sizes: ModelSettings, weight: float) -> ModelSettings:
    """Return the sizes with room for the clip-level term, where it has a weight."""
    return dataclasses.replace(sizes, projection=PROJECTION) if weight and not sizes.projection else sizes


def model_entries(size: SizeName | None, sizes: ModelSettings) -> dict[str, Any]:
    """Return the entries that stand for a run's sizes in `run.json`: a named size as it is, or every single one.

    Args:
        size: Named size that was given.
        sizes: The sizes, without what the clip-level term adds.
    """
    if size is not None and sizes == model_of_size(size):
        return {"size": size, "model": dataclasses.asdict(ModelSettings())}
    return {"size": None, "model": dataclasses.asdict(sizes)}


def sizes_of_run(settings: dict[str, Any]) -> ModelSettings:
    """Return the sizes that a run's `run.json` stands for."""
    named = settings["size"]
    sizes = ModelSettings(**settings["model"]) if named is None else model_of_size(named)
    return with_projection(sizes, settings["pairs"]["weight"])


def embedder_of(
    sizes: ModelSettings, weights: dict[str, Tensor], corpus: Corpus, *, layer: int, pool: Pool
) -> Embedder:
    """Return what a run leaves behind: trained weights, with the mel settings and statistics of its corpus.

    Args:
        sizes: Sizes of the model.
        weights: Its whole state.
        corpus: What it was trained on.
        layer: Block that vectors are read from; 0 is the last.
        pool: How tokens become a vector.
    """
    autoencoder = Autoencoder(sizes)
    autoencoder.load_state_dict(weights)
    return Embedder(
        autoencoder.eval(),
        mel=corpus.mel,
        mean=corpus.mean,
        std=corpus.std,
        layer=layer or sizes.depth,
        pool=pool,
    )
