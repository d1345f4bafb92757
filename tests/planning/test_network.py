"""The network in pieces: parameters and activations counted on the real one, tokens as masks are drawn."""

from __future__ import annotations

import pytest
import torch

from audiomae.errors import ConfigError
from audiomae.model.autoencoder import Autoencoder, split_places
from audiomae.model.clip_head import pair_loss
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.masking import draw_mask
from audiomae.planning.memory import ARITHMETICS
from audiomae.planning.network import network_of, tokens_of
from audiomae.training.optimizer import make_optimizer, named_state
from audiomae.training.settings import LoopSettings


def bytes_saved(sizes: ModelSettings, clips: int, *, half: bool) -> int:
    """Run the real forward pass and count what autograd keeps, each storage once, weights not."""
    module = Autoencoder(sizes)
    mask = draw_mask("spans", clips, sizes.columns, sizes.rows, ratio=0.7, longest=4)
    seen, hidden = split_places(mask)
    hidden = hidden[:, : round(hidden.shape[1] * sizes.decoded)]
    own = {value.untyped_storage().data_ptr() for value in [*module.parameters(), *module.buffers()]}
    kept: dict[int, torch.Tensor] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    logmels = torch.randn(clips, sizes.clip_frames, sizes.mels)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        out = module(logmels, seen, hidden)
        loss = out.loss
        if out.projected is not None:
            loss = loss + pair_loss(out.projected, torch.arange(clips) // 2, 0.1)
    assert loss.requires_grad
    return sum(value.untyped_storage().nbytes() for value in kept.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("projection", [0, 64])
def test_the_activations_are_those_that_the_real_network_keeps(precision, projection):
    sizes = ModelSettings(
        width=96, depth=3, heads=3, decoder_width=64, decoder_depth=2, decoder_heads=2, projection=projection
    )
    network = network_of(sizes, "spans", 0.7, ARITHMETICS[precision])
    copies = 2 * sum(piece.matrices for piece in network.pieces)
    counted = bytes_saved(sizes, 8, half=precision == "bf16")
    # Some vectors of the clip-level term are left out of the formula.
    assert 8 * network.saved + copies == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_pieces_hold_every_parameter(size):
    sizes = model_of_size(size, projection=128)
    counted = sum(value.numel() for value in Autoencoder(sizes).parameters())
    network = network_of(sizes, "spans", 0.7, ARITHMETICS["fp32"])
    assert network.parameters == counted
    assert tokens_of(sizes, "spans", 0.7) == (45, 44)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_optimiser_keeps_as_much_as_is_said(optimizer):
    sizes = ModelSettings(width=64, depth=2, heads=2, decoder_width=32, decoder_depth=1, projection=16)
    module = Autoencoder(sizes)
    made = make_optimizer(module, LoopSettings(optimizer=optimizer), module.blocks)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    kept = [value for name, value in named_state(module, made).items() if not name.endswith("/step")]
    fp32 = ARITHMETICS["fp32"]
    assert network_of(sizes, "spans", 0.7, fp32, optimizer).optimizer(fp32) == sum(
        value.nbytes for value in kept
    )


@pytest.mark.parametrize("mask", ["spans", "one_span", "patches"])
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.55, 0.7, 0.9])
def test_tokens_are_counted_as_masks_are_drawn(mask, ratio):
    sizes = ModelSettings()
    seen, hidden = split_places(draw_mask(mask, 2, sizes.columns, sizes.rows, ratio=ratio, longest=4))
    tokens = tokens_of(sizes, mask, ratio)
    assert tokens.seen == seen.shape[1]
    assert tokens.asked == max(1, round(hidden.shape[1] * sizes.decoded))


def test_a_mask_that_leaves_nothing_visible_is_refused():
    with pytest.raises(ConfigError, match=r"ratio 0\.99 masks 31 of 31 columns"):
        tokens_of(ModelSettings(), "spans", 0.99)
    assert tokens_of(ModelSettings(), "patches", 0.99).seen == 2
