"""What a training begins with: weights drawn at random, or those of a model that was trained before."""

from __future__ import annotations

import dataclasses

from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError, FingerprintError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import Embedder, load

__all__ = ["copy_weights", "open_first"]

FREE = ("decoded", "projection")
"""Sizes that may differ: the share decoded has no weights, and the clip-level head is drawn anew where it must."""


def open_first(folder: str, sizes: ModelSettings, corpus: Corpus) -> Embedder:
    """Open the model to begin with, and refuse one that does not fit.

    Args:
        folder: Its run folder, or the name of a model in the package.
        sizes: Sizes of the model to train.
        corpus: What it will be trained on.

    Raises:
        ConfigError: If it has other sizes.
        FingerprintError: If it hears other log-mels than the corpus holds.
        MissingError: If there is no whole model.
    """
    first = load(folder, device="cpu")
    for name, value in dataclasses.asdict(first.config).items():
        if name not in FREE and value != getattr(sizes, name):
            raise ConfigError(
                f"{folder}: its model.{name} is {value}, the one to train has {getattr(sizes, name)}. "
                f"Use --model.{name} {value}, or leave out --init."
            )
    if first.mel != corpus.mel:
        raise FingerprintError(
            f"{folder}: was trained on log-mels of other settings than {corpus.folder} holds. Prepare the songs "
            "with the model's, or leave out --init."
        )
    return first


def copy_weights(first: Embedder, autoencoder: Autoencoder) -> None:
    """Give an autoencoder the weights of another; a clip-level head that the other lacks stays as it was drawn."""
    weights = first.autoencoder.state_dict()
    own = autoencoder.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    autoencoder.load_state_dict({**own, **fitting})
