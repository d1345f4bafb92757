"""What towers are trained for, and towers that begin where it wants them to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomae.checks import close_to, require
from audiomae.errors import ConfigError
from audiomae.recommend.towers.features import UserFeatures
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.negatives import PopularityKind
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["ObjectiveSettings", "make_towers"]


@dataclass(frozen=True)
class ObjectiveSettings:
    """What the towers learn from a play.

    Attributes:
        loss: softmax, the play among its negatives; bce, yes or no for each; siglip, yes or no for all pairs of
            the batch.
        popularity: separate, a prior beside the towers, its weight chosen on the validation slice; learned, by the
            towers (logQ correction); none, neither.
        temperature: First divisor of the cosines in the loss; it is learned from there.
    """

    loss: str = "softmax"
    popularity: PopularityKind = "separate"
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values out of range, and what does not fit together."""
        if self.loss not in LOSSES:
            hint = close_to(self.loss, LOSSES, otherwise=f"There are {', '.join(LOSSES)}.")
            raise ConfigError(f"objective.loss is {self.loss!r}, which is no loss. {hint}")
        if self.popularity == "learned" and not LOSSES[self.loss].log_q:
            raise ConfigError(
                f"{self.loss} has no correction for how often a track is drawn, so towers cannot learn popularity by "
                "it: use --objective.popularity separate or none."
            )
        require("objective.temperature", self.temperature, least=0.01, most=10)


def make_towers(
    features: UserFeatures,
    content: Tensor,
    tracks: int,
    settings: TowerSettings,
    objective: ObjectiveSettings,
    negatives: int,
    seed: int,
) -> Towers:
    """Return untrained towers whose first logits fit the loss.

    Args:
        features: Columns of the users' table.
        content: One vector a track, (tracks, values).
        tracks: Tracks with an id embedding.
        settings: Sizes.
        objective: The loss.
        negatives: Negatives of a play.
        seed: Key of the weights.
    """
    first_bias = LOSSES[objective.loss].first_bias
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = Towers(
            features,
            content.shape[1],
            tracks,
            settings,
            scale=1.0 / objective.temperature,
            bias=0.0 if first_bias is None else first_bias(negatives),
            train_bias=first_bias is not None,
        )
    towers.item.fit_statistics(content)
    return towers
