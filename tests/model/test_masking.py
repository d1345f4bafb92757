"""Masks: exact shares, repeatable draws, spans where spans are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.model.masking import draw_mask, mask_one_span, mask_patches, mask_spans


def runs(row: list[bool]) -> list[int]:
    """Return the lengths of the runs of True, by a plain loop."""
    lengths, current = [], 0
    for value in [*row, False]:
        if value:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


def test_every_clip_of_a_batch_loses_the_same_number_of_columns(generator):
    mask = mask_spans(5, 31, ratio=0.7, longest=4, generator=generator)
    assert mask.sum(dim=1).tolist() == [22] * 5


@settings(max_examples=50, deadline=None)
@given(
    columns=st.integers(2, 64),
    ratio=st.floats(0.05, 0.95),
    longest=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_the_masked_share_is_exact_whatever_the_sizes(columns, ratio, longest, seed):
    expected = round(columns * ratio)
    drawn = torch.Generator().manual_seed(seed)
    if not 0 < expected < columns:
        with pytest.raises(ValueError, match="at least one must be masked and one visible"):
            mask_spans(3, columns, ratio=ratio, longest=1, generator=drawn)
        return
    mask = mask_spans(3, columns, ratio=ratio, longest=min(longest, columns), generator=drawn)
    assert mask.sum(dim=1).tolist() == [expected] * 3


def test_longer_spans_make_longer_runs_than_single_columns(generator):
    short = mask_spans(400, 31, ratio=0.3, longest=1, generator=generator)
    long = mask_spans(400, 31, ratio=0.3, longest=6, generator=generator)
    mean = [np.mean([length for row in mask.tolist() for length in runs(row)]) for mask in (short, long)]
    assert mean[1] > mean[0] + 0.8


def test_every_column_is_masked_about_equally_often(generator):
    share = mask_spans(4000, 31, ratio=0.5, longest=4, generator=generator).float().mean(dim=0)
    assert float(share.min()) > 0.42
    assert float(share.max()) < 0.58


def test_one_masked_second_is_one_run_of_six_columns(generator):
    mask = mask_one_span(50, 31, ratio=0.2, generator=generator)
    assert [runs(row) for row in mask.tolist()] == [[6]] * 50
    assert mask.float().argmax(dim=1).unique().numel() > 10


def test_single_patches_fall_on_all_rows_and_columns(generator):
    mask = mask_patches(8, 31, 5, ratio=0.75, generator=generator)
    assert mask.flatten(1).sum(dim=1).tolist() == [116] * 8
    rows_mixed = mask.any(dim=2) & ~mask.all(dim=2)
    assert bool(rows_mixed.any())


@pytest.mark.parametrize("kind", ["spans", "one_span", "patches"])
def test_the_same_seed_draws_the_same_mask(kind):
    draws = [
        draw_mask(kind, 4, 31, 5, ratio=0.5, longest=4, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_ratio_that_leaves_nothing_to_see_is_refused():
    with pytest.raises(
        ValueError, match=r"ratio 0.99 masks 31 of 31 columns; .* Use a ratio between 0.016 and 0.984"
    ):
        mask_spans(1, 31, ratio=0.99, longest=4)
