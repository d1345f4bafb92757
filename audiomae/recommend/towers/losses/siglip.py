"""SigLIP: a sigmoid over every pair of the batch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from audiomae.recommend.towers.losses.loss import Loss

__all__ = ["SIGLIP"]

FIRST_BIAS = -10.0
"""What the paper begins with: nearly all pairs are no pairs."""


def siglip_loss(
    positive: Float[Tensor, " n"],
    others: Float[Tensor, "n n"],
    valid: Bool[Tensor, "n n"],  # noqa: ARG001
) -> Float[Tensor, ""]:
    """Return −1/n · Σᵢ Σⱼ log σ(zᵢⱼ · logitᵢⱼ), with z = 1 for a user and their own play, −1 for every other pair.

    Every pair counts, those of a track that the user has played at another time too: pairs are then drawn from users
    and tracks apart, and the best logit is log p(user, track) / p(user) p(track), less log(n − 1). Cross-entropy
    (`bce`) leaves known plays out.

    Args:
        positive: Logit of what each user played.
        others: Logits of each user (row) with what every user of the batch played (column).
        valid: Not looked at.

    Source: Zhai et al. 2023 (arXiv:2303.15343), algorithm 1.
    """
    paired = torch.eye(len(positive), dtype=torch.bool, device=others.device)
    logits = others.float()
    apart = F.softplus(logits).masked_fill(paired, 0.0).sum(dim=1)
    return (F.softplus(-positive.float()) + apart).mean()


SIGLIP = Loss(siglip_loss, first_bias=lambda _: FIRST_BIAS, negatives=("in_batch",), log_q=False)
