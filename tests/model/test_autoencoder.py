"""The masked autoencoder: what it sees, what it is judged on, what it learns."""

from __future__ import annotations

import pytest
import torch

from audiomae.errors import ConfigError
from audiomae.model.autoencoder import Autoencoder, normalise_patches, split_places
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.encoder import take_tokens
from audiomae.model.masking import draw_mask
from audiomae.pretraining.guesses import nearest_column_loss, position_mean_loss

SMALL = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


def seeded(config: ModelSettings = SMALL) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(config)


def places(generator, clips: int = 2):
    return split_places(draw_mask("spans", clips, 31, 5, ratio=0.7, longest=4, generator=generator))


def test_what_is_masked_does_not_reach_the_encoder(generator):
    model, clips = seeded(), torch.randn(2, 496, 80, generator=generator)
    seen, hidden = places(generator)
    before = model(clips, seen, hidden)
    changed = model.patches_of(clips).flatten(1, 2).scatter(1, hidden[:, :, None].expand(-1, -1, 256), 9.0)
    tokens = model.encoder(take_tokens(changed, seen), seen)
    assert torch.equal(before.tokens, tokens)
    assert before.tokens.shape == (2, 45, 32)


def test_the_loss_is_the_mean_square_over_the_asked_patches_by_hand(generator):
    model, clips = seeded(), torch.randn(2, 496, 80, generator=generator)
    seen, hidden = places(generator)
    out = model(clips, seen, hidden)
    patches = model.patches_of(clips).flatten(1, 2)
    total = 0.0
    for clip in range(2):
        for number, place in enumerate(hidden[clip].tolist()):
            patch = patches[clip, place]
            shape = (patch - patch.mean()) / (patch.var(unbiased=False) + 1e-2).sqrt()
            total += float((out.patches[clip, number] - shape).square().mean().detach())
    assert float(out.loss.detach()) == pytest.approx(total / hidden.numel(), rel=1e-5)


def test_the_order_in_which_patches_are_asked_for_does_not_matter(generator):
    model, clips = seeded(), torch.randn(1, 496, 80, generator=generator)
    seen, hidden = places(generator, 1)
    forth, back = model(clips, seen, hidden).patches, model(clips, seen, hidden.flip(1)).patches
    torch.testing.assert_close(forth, back.flip(1), atol=1e-5, rtol=1e-4)


def test_whole_clips_are_encoded_as_if_every_patch_were_visible(generator):
    model, clips = seeded(), torch.randn(2, 496, 80, generator=generator)
    everywhere = torch.arange(155).expand(2, 155)
    expected = model.encoder(model.patches_of(clips).flatten(1, 2), everywhere)
    torch.testing.assert_close(model.encode(clips, layer=2).flatten(1, 2), expected, atol=1e-6, rtol=1e-5)


def test_silence_under_patch_normalisation_stays_quiet():
    quiet = torch.full((1, 1, 256), -16.1) + 1e-3 * torch.randn(
        1, 1, 256, generator=torch.Generator().manual_seed(0)
    )
    assert float(normalise_patches(quiet).abs().max()) < 0.1


def test_a_mask_of_unequal_shares_is_refused():
    mask = torch.zeros(2, 3, 1, dtype=torch.bool)
    mask[0, 0] = True
    with pytest.raises(ValueError, match="clips lose between 0 and 1 patches"):
        split_places(mask)


def test_rebuilding_leaves_the_visible_patches_as_they_are(generator):
    model = seeded(ModelSettings(**{**SMALL.__dict__, "decoded": 0.4}))
    clips = torch.randn(2, 496, 80, generator=generator)
    mask = draw_mask("patches", 2, 31, 5, ratio=0.5, longest=1, generator=generator)
    rebuilt = model.rebuild(clips, mask)
    hidden = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)
    assert torch.equal(rebuilt[~hidden], clips[~hidden])
    assert float((rebuilt - clips)[hidden].abs().mean()) > 0.1


def test_the_loss_falls_when_the_same_clips_are_seen_again(generator):
    model, clips = seeded(), torch.randn(1, 496, 80, generator=generator).cumsum(dim=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    seen, hidden = places(generator, 1)
    losses = []
    for _ in range(40):
        loss = model(clips, seen, hidden).loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def test_guessing_the_position_mean_equals_a_hand_count():
    target = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])
    mask = torch.tensor([[[True], [False]]])
    assert position_mean_loss(target, mask, torch.tensor([[[2.0, 2.0]], [[0.0, 0.0]]])) == 1.0


def test_repeating_the_nearest_column_takes_the_earlier_of_two_and_zero_where_nothing_is_seen():
    # Row 0: columns 0 and 2 visible, column 1 is guessed from column 0. Row 1: all masked, guessed as zero.
    target = torch.tensor([[[[1.0], [2.0]], [[4.0], [2.0]], [[9.0], [2.0]]]])
    mask = torch.tensor([[[False, True], [True, True], [False, True]]])
    assert nearest_column_loss(target, mask) == pytest.approx(((4 - 1) ** 2 + 3 * 2**2) / 4)


def test_sizes_that_do_not_fit_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"model.heads 5 does not divide the width 192. Use a divisor."):
        ModelSettings(heads=5)
    with pytest.raises(ConfigError, match="'huge' is not one of tiny, small, base, large"):
        model_of_size("huge")


def test_base_has_the_published_number_of_encoder_weights():
    # ViT-B's twelve blocks and last norm hold 85,056,000 values (Dosovitskiy et al. 2021).
    with torch.device("meta"):
        encoder = Autoencoder(model_of_size("base")).encoder
    assert sum(p.numel() for p in encoder.blocks.parameters()) + 2 * 768 == 85_056_000
