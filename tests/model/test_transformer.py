"""Blocks against PyTorch's own."""

from __future__ import annotations

import torch
from torch import nn

from audiomae.model.transformer import Attention, Block


def test_attention_equals_pytorchs_own(generator):
    ours, theirs = Attention(24, 3), nn.MultiheadAttention(24, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    tokens = torch.randn(2, 7, 24, generator=generator)
    expected, _ = theirs(tokens, tokens, tokens, need_weights=False)
    # Two orders of the same float32 sums.
    torch.testing.assert_close(ours(tokens), expected, atol=1e-5, rtol=1e-4)


def test_a_block_equals_pytorchs_pre_norm_layer(generator):
    ours = Block(24, 3)
    theirs = nn.TransformerEncoderLayer(
        24, 3, 96, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    pairs = {
        "self_attn.in_proj_": ours.attention.qkv,
        "self_attn.out_proj.": ours.attention.out,
        "linear1.": ours.mlp[0],
        "linear2.": ours.mlp[2],
        "norm1.": ours.norm_attention,
        "norm2.": ours.norm_mlp,
    }
    state = {
        f"{name}{part}": getattr(module, part)
        for name, module in pairs.items()
        for part in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    tokens = torch.randn(2, 7, 24, generator=generator)
    torch.testing.assert_close(ours(tokens), theirs(tokens), atol=1e-5, rtol=1e-4)
