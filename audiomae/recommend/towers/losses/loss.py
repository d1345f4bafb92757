"""What a loss of the towers is: a function of logits, how scale and bias begin, and which negatives it can take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from audiomae.recommend.towers.negatives import NEGATIVE_KINDS, NegativeKind

__all__ = ["Loss", "first_bias_of_pairs", "keep_hardest"]

Compare = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logit of what each user played (n,), those of their negatives (n, m), and which of these count (n, m) → the loss."""


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes:
        compare: The loss of a batch's logits.
        first_bias: What is added to the cosines at the start, given the number of negatives of a play; None where
            the loss cannot see a bias, which then stays 0.
        negatives: Kinds of negatives that it can take.
        log_q: Whether it can be corrected for how often a track is drawn, so that towers learn popularity too.
    """

    compare: Compare
    first_bias: Callable[[int], float] | None = None
    negatives: tuple[NegativeKind, ...] = NEGATIVE_KINDS
    log_q: bool = True


def first_bias_of_pairs(negatives: int) -> float:
    """Return −log of the negatives of a play: what makes a first guess right as often as pairs are."""
    return -math.log(negatives)


def keep_hardest(
    others: Float[Tensor, "n m"], valid: Bool[Tensor, "n m"], count: int
) -> tuple[Float[Tensor, "n count"], Bool[Tensor, "n count"]]:
    """Return the `count` valid negatives of each row with the largest logits, and which of them are valid."""
    masked = others.detach().masked_fill(~valid, float("-inf"))
    places = masked.topk(min(count, others.shape[1]), dim=1).indices
    return others.gather(1, places), valid.gather(1, places)
