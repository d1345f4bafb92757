"""A network with the way its tokens become vectors: log-mels of clips in, vectors out."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from audiomae.audio.mel import MelSettings
from audiomae.errors import ConfigError, DataError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.level import normalise_clips
from audiomae.model.pooling import Pool, pool_tokens, pooled_size
from audiomae.model.whitening import Whitening

__all__ = ["Readout", "grid_seconds"]


def grid_seconds(clip_seconds: float) -> float:
    """Return the distance between the clips that long audio is cut into: one clip, up to the next tenth of a second.

    Example:
        >>> grid_seconds(4.96)
        5.0
    """
    return math.ceil(round(clip_seconds * 10, 6)) / 10


@dataclasses.dataclass(frozen=True)
class Readout:
    """A masked autoencoder, the log-mels it takes, and how its tokens are read.

    Attributes:
        autoencoder: The network, in evaluation mode.
        mel: Settings of its log-mels.
        mean: Mean of the log-mels of the corpus it was trained on.
        std: Their standard deviation.
        layer: Encoder block that vectors are read from, 1 for the first.
        pool: How the tokens of a clip become one vector.
        whiten: A projection applied last, or None.
        fingerprint: What stands for the weights and settings; vectors carry it.
    """

    autoencoder: Autoencoder
    mel: MelSettings
    mean: float
    std: float
    layer: int
    pool: Pool
    whiten: Whitening | None = None
    fingerprint: str = "untrained"

    @property
    def config(self) -> ModelSettings:
        """Sizes of the network."""
        return self.autoencoder.config

    @property
    def sample_rate(self) -> int:
        """Sample rate that the model hears, in Hz; other rates are resampled."""
        return self.mel.sample_rate

    @property
    def clip_seconds(self) -> float:
        """Length of the clips it was trained on, in seconds."""
        return self.mel.seconds_of(self.config.clip_frames)

    @property
    def hop_seconds(self) -> float:
        """Distance between the clips that long audio is cut into, in seconds (`grid_seconds`)."""
        return grid_seconds(self.clip_seconds)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        if self.whiten is not None:
            return self.whiten.dims
        return pooled_size(self.config.width, self.config.rows, self.pool)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.autoencoder.parameters()).device

    def to(self, device: torch.device | str) -> Self:
        """Move the network, in place, and return self."""
        self.autoencoder.to(device)
        return self

    def with_pooling(
        self, *, layer: int | None = None, pool: Pool | None = None, whiten: Whitening | None = None
    ) -> Self:
        """Return the same network read out in another way; None keeps the layer and the pooling.

        Raises:
            ConfigError: If there is no such layer, or the whitening takes vectors of another length.
        """
        changed = dataclasses.replace(self, layer=layer or self.layer, pool=pool or self.pool, whiten=None)
        if not 1 <= changed.layer <= self.config.depth:
            raise ConfigError(
                f"layer {changed.layer} is not one of 1 to {self.config.depth}, the encoder's blocks."
            )
        if whiten is not None and len(whiten.mean) != changed.dim:
            raise ConfigError(
                f"the whitening takes vectors of {len(whiten.mean)} values; layer {changed.layer} pooled by "
                f"{changed.pool} gives {changed.dim}. Fit another with --whiten."
            )
        return dataclasses.replace(changed, whiten=whiten)

    @torch.inference_mode()
    def embed_mels(self, log_mels: Float[Tensor, "clips frames mels"]) -> Float[Tensor, "clips values"]:
        """Embed clips given as natural log-mels.

        Args:
            log_mels: Up to a clip's frames, at least one patch; rests below a patch are left out.

        Raises:
            DataError: If the clips are longer than the model's, or hold other mel bands.
        """
        frames, mels = log_mels.shape[1:]
        if frames > self.config.clip_frames or mels != self.config.mels or frames < self.config.patch_frames:
            raise DataError(
                f"log-mels of {frames} frames x {mels} mels; this model takes {self.config.patch_frames} to "
                f"{self.config.clip_frames} frames x {self.config.mels} mels. Cut longer audio with Embedder.embed."
            )
        clips = normalise_clips(log_mels.to(self.device), self.std)
        vectors = pool_tokens(self.autoencoder.encode(clips, layer=self.layer), self.pool)
        if self.whiten is not None:
            vectors = torch.from_numpy(self.whiten.transform(vectors.cpu().numpy()))
        return vectors
