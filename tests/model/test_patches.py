"""Patches: cut and join are inverses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.model.patches import cut_patches, join_patches


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_joining_what_was_cut_gives_the_clip_back(clips, columns, rows, frames, mels):
    whole = torch.arange(clips * columns * rows * frames * mels).float()
    whole = whole.reshape(clips, columns * frames, rows * mels)
    assert torch.equal(join_patches(cut_patches(whole, frames, mels), frames, mels), whole)


def test_a_patch_holds_its_own_stretch_of_time_and_band_of_frequency():
    clip = torch.zeros(1, 6, 4)
    clip[0, 2:4, 2:4] = 1.0
    patches = cut_patches(clip, 2, 2)
    assert patches.shape == (1, 3, 2, 4)
    assert patches[0, 1, 1].tolist() == [1.0] * 4
    assert float(patches.sum()) == 4.0


def test_frames_that_do_not_fill_a_column_are_left_out():
    assert cut_patches(torch.zeros(1, 501, 80), 16, 16).shape == (1, 31, 5, 256)


def test_a_clip_shorter_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="15 frames and 80 mels cannot be cut into patches of 16 x 16"):
        cut_patches(torch.zeros(1, 15, 80), 16, 16)
