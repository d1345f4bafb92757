"""Changed clips: power adds up, nothing asked changes nothing, moves land where they should."""

from __future__ import annotations

import pytest
import torch

from audiomae.errors import ConfigError
from audiomae.pretraining.augmentation import AugmentSettings, augment_clips, mix_clips, warp_clips


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_mix_adds_the_powers_of_both_at_equal_level():
    clips, others = noise(3, 20, 8), noise(3, 20, 8, seed=1) + 5.0
    share = torch.tensor([0.0, 0.25, 0.5])
    mixed = mix_clips(clips, others, share)
    level = clips.mean(dim=(1, 2)) - others.mean(dim=(1, 2))
    heard = (others + level[:, None, None]).exp()
    weight = share[:, None, None]
    assert torch.allclose(mixed.exp(), (1 - weight) * clips.exp() + weight * heard, rtol=1e-5)
    assert torch.equal(mixed[0], clips[0])


def test_how_loud_the_other_song_was_does_not_matter():
    clips, others, share = noise(2, 20, 8), noise(2, 20, 8, seed=1), torch.tensor([0.3, 0.4])
    assert torch.allclose(mix_clips(clips, others, share), mix_clips(clips, others - 7.0, share), atol=1e-5)


def test_an_unmoved_clip_stays_as_it_is():
    clips = noise(2, 31, 8)
    still = warp_clips(clips, torch.ones(2), torch.tensor([0.0, 0.9]), torch.zeros(2))
    assert torch.allclose(still, clips, atol=1e-5)


def test_sound_moves_up_by_whole_bands_and_the_lowest_fills_what_is_bared():
    clips = noise(1, 6, 8)
    moved = warp_clips(clips, torch.ones(1), torch.zeros(1), torch.tensor([2.0]))
    assert torch.allclose(moved[:, :, 2:], clips[:, :, :-2], atol=1e-5)
    assert torch.allclose(moved[:, :, :2], clips[:, :, :1].expand(1, 6, 2), atol=1e-5)


@pytest.mark.parametrize(("place", "first"), [(0.0, 0), (1.0, 20)])
def test_half_of_the_time_is_shown_at_half_speed_from_where_it_lies(place, first):
    clips = noise(1, 41, 4)
    slowed = warp_clips(clips, torch.tensor([0.5]), torch.tensor([place]), torch.zeros(1))
    assert slowed.shape == clips.shape
    assert torch.allclose(slowed[:, ::2], clips[:, first : first + 21], atol=1e-5)


def test_each_clip_goes_by_its_own_draws_within_the_limits():
    clips, others = noise(2, 20, 8), noise(2, 20, 8, seed=1)
    draws = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.9, 0.9, 0.5, 0.9]])
    out = augment_clips(clips, others, draws, AugmentSettings(mix=0.5, stretch=0.2, shift=2.0))
    assert torch.allclose(out[0], clips[0], atol=1e-5)
    assert not torch.allclose(out[1], clips[1], atol=0.1)
    assert torch.equal(augment_clips(clips, others[:0], draws, AugmentSettings()), clips)
    alone = augment_clips(clips, others[:0], draws, AugmentSettings(shift=2.0))
    expected = warp_clips(clips, torch.ones(2), draws[:, 2], torch.tensor([0.0, 1.6]))
    assert torch.allclose(alone, expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"mix": 1.0}, {"mix": -0.1}, {"stretch": -1.0}, {"shift": -2.0}])
def test_settings_out_of_range_are_refused_with_their_name(wrong):
    name = next(iter(wrong))
    with pytest.raises(ConfigError, match=rf"augment\.{name} is"):
        AugmentSettings(**wrong)
    assert not AugmentSettings()
    assert AugmentSettings(shift=1.0)
