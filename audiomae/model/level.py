"""What a clip's level is taken out with, so that loudness is not what a vector tells."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

__all__ = ["normalise_clips"]


def normalise_clips(
    log_mels: Float[Tensor, "clips frames mels"], std: float
) -> Float[Tensor, "clips frames mels"]:
    """Take each clip's mean out of its log-mel and scale by the corpus's deviation, in float32.

    A gain adds the same number to every value of a log-mel, so this takes it out again, but for values near the
    floor of the mel.

    Args:
        log_mels: Natural log-mels as they lie on disk.
        std: Standard deviation of the corpus's log-mels.
    """
    log_mels = log_mels.float()
    return (log_mels - log_mels.mean(dim=(1, 2), keepdim=True)) / std
