"""Softmax cross-entropy: what a user played, among its negatives."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audiomae.recommend.towers.losses.loss import Loss

__all__ = ["SOFTMAX"]


def softmax_loss(
    positive: Float[Tensor, " n"], others: Float[Tensor, "n m"], valid: Bool[Tensor, "n m"]
) -> Float[Tensor, ""]:
    """Return the mean of −log of the share that the positive takes among itself and its negatives.

    Subtract log Q of each item from its logit, the positive's too, and the best logits are those of the softmax
    over all items, however few are drawn; leave it out and they are log(P / Q): what popularity does not explain.

    Args:
        positive: Logit of what the user played.
        others: Logits of its negatives.
        valid: Which of them count: those the user is not known to have played.

    Source: Bengio & Senecal 2008; with negatives from the batch, Yi et al. 2019 (RecSys).
    """
    positive = positive.float()
    total: Tensor = _LogSumExp.apply(others.float(), valid)  # type: ignore[no-untyped-call]
    return (torch.logaddexp(total, positive) - positive).mean()


class _LogSumExp(torch.autograd.Function):
    """Log of the summed exponentials of the valid entries of each row, −inf for a row without any.

    Its gradient is the softmax, which it keeps instead of the logits: one matrix less to write and to read at
    every step than with masking, concatenating and cross-entropy.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, valid: Tensor) -> Tensor:
        shares = logits.masked_fill(~valid, float("-inf"))
        largest = shares.amax(dim=1, keepdim=True).clamp_min(torch.finfo(logits.dtype).min)
        shares.sub_(largest).exp_()
        total = shares.sum(dim=1, keepdim=True)
        shares.div_(total.clamp_min(torch.finfo(logits.dtype).tiny))
        ctx.save_for_backward(shares)
        return (total.log() + largest).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (shares,) = ctx.saved_tensors
        return shares * gradients[0][:, None], None


SOFTMAX = Loss(softmax_loss)
