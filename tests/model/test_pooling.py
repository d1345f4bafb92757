"""Pooling, by hand."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from audiomae.model.pooling import Pool, pool_tokens, pooled_size

# One clip of 2 columns x 2 rows x 2 channels, written tokens[column][row].
TOKENS = torch.tensor([[[[1.0, 10.0], [2.0, 20.0]], [[5.0, 30.0], [8.0, 20.0]]]])

SPREADS = [math.sqrt((9 + 4 + 1 + 16) / 4), math.sqrt((100 + 0 + 100 + 0) / 4)]
"""Deviations of 1, 2, 5, 8 (mean 4) and of 10, 20, 30, 20 (mean 20)."""


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("mean", [4.0, 20.0]),
        ("freq_concat", [3.0, 20.0, 5.0, 20.0]),
        ("mean_std", [4.0, 20.0, *SPREADS]),
        ("freq_concat_std", [3.0, 20.0, 5.0, 20.0, 2.0, 10.0, 3.0, 1e-4]),
        ("freq_concat_flux", [3.0, 20.0, 5.0, 20.0, 4.0, 20.0, 6.0, 0.0]),
        ("freq_concat_std_flux", [3.0, 20.0, 5.0, 20.0, 2.0, 10.0, 3.0, 1e-4, 4.0, 20.0, 6.0, 0.0]),
        ("freq_concat_max_flux", [3.0, 20.0, 5.0, 20.0, 5.0, 30.0, 8.0, 20.0, 4.0, 20.0, 6.0, 0.0]),
    ],
)
def test_each_kind_gives_what_a_hand_count_gives(pool, expected):
    assert pool_tokens(TOKENS, pool)[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pool", get_args(Pool))
@pytest.mark.parametrize("columns", [1, 31])
def test_the_size_foretold_is_the_size_that_comes(generator, pool, columns):
    tokens = torch.randn(3, columns, 5, 12, generator=generator)
    pooled = pool_tokens(tokens, pool)
    assert pooled.shape == (3, pooled_size(12, 5, pool))
    assert bool(pooled.isfinite().all())


@pytest.mark.parametrize("pool", get_args(Pool))
def test_pooling_is_in_float32_whatever_the_tokens_are(generator, pool):
    tokens = torch.randn(2, 4, 5, 12, generator=generator).bfloat16()
    pooled = pool_tokens(tokens, pool)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pool_tokens(tokens.float(), pool))


@pytest.mark.parametrize("pool", ["mean", "freq_concat", "mean_std", "freq_concat_std"])
def test_all_but_the_flux_do_not_mind_the_order_in_time(generator, pool):
    tokens = torch.randn(2, 6, 5, 12, generator=generator)
    turned = tokens.flip(1)
    torch.testing.assert_close(pool_tokens(turned, pool), pool_tokens(tokens, pool))
