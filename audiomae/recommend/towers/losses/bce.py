"""Binary cross-entropy: yes for what a user played, no for each negative."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from audiomae.recommend.towers.losses.loss import Loss, first_bias_of_pairs

__all__ = ["BCE"]


def bce_loss(
    positive: Float[Tensor, " n"], others: Float[Tensor, "n m"], valid: Bool[Tensor, "n m"]
) -> Float[Tensor, ""]:
    """Return binary cross-entropy, summed over a positive and its negatives, averaged over the positives.

    Args:
        positive: Logit of what the user played.
        others: Logits of its negatives.
        valid: Which of them count: those the user is not known to have played.
    """
    negative = F.softplus(others.float()).masked_fill(~valid, 0.0).sum(dim=1)
    return (F.softplus(-positive.float()) + negative).mean()


BCE = Loss(bce_loss, first_bias=first_bias_of_pairs)
