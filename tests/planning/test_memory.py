"""The arithmetic of memory: textbook figures, and sums that can be done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.errors import ConfigError
from audiomae.planning.memory import ARITHMETICS, Network, Piece, block_piece, least_machines, need_of

FP32 = ARITHMETICS["fp32"]
TWO = Network((Piece("first", 100, saved=1000, alone=True), Piece("second", 300, saved=500, alone=True)))


def test_the_textbook_case_needs_several_machines():
    weights = 1.8e12 * 2
    assert weights == 3600e9
    assert least_machines(weights, 8, 141e9) == 4  # 1,128 GB each
    assert least_machines(weights, 16, 24e9) == 10  # 384 GB each
    assert least_machines(weights, 8, 48e9) == 10
    assert Network((Piece("all", 10),)).states(ARITHMETICS["bf16-weights"]) == 160


def test_one_gpu_holds_states_and_the_most_that_lives_at_once():
    need = need_of(TWO, "one", FP32, gpus=1, batch=2)
    assert (need.parameters, need.gradients, need.optimizer) == (1600, 1600, 3200)
    # Forward ends with 3,000 bytes kept. Back through "second": 3,000 and 1,200 of gradients; then 2,000 and 1,600.
    assert need.total == 1600 + 3200 + 4200
    assert need.activations == 3000


def test_gradients_alone_are_the_peak_where_activations_are_few():
    need = need_of(Network((Piece("all", 1000),)), "one", FP32, gpus=1, batch=1)
    assert need.total == 16 * 1000


def test_ddp_holds_the_states_of_one_gpu_and_buckets_with_a_share_of_the_clips():
    one, ddp = (need_of(TWO, name, FP32, gpus=2, batch=4) for name in ("one", "ddp"))
    assert ddp.parameters == one.parameters
    assert ddp.activations == one.activations / 2
    assert ddp.buffers == 400 * 4
    assert ddp.total == 1600 + 3200 + 1600 + 4200
    views = need_of(TWO, "ddp", FP32, gpus=2, batch=4, bucket_views=True)
    assert views.total <= ddp.total


def test_fsdp_shares_the_states_and_gathers_a_piece_and_the_next():
    need = need_of(TWO, "fsdp", FP32, gpus=4, batch=4)
    assert (need.parameters, need.gradients, need.optimizer) == (400, 400, 800)
    assert need.buffers == 2 * 300 * 4 + 2 * 300 * 4
    bare = need_of(TWO, "fsdp", FP32, gpus=4, batch=4, gather=False)
    assert bare.buffers == 0


@given(gpus=st.integers(1, 64), more=st.integers(1, 64), parameters=st.integers(1, 10**9))
def test_more_gpus_never_need_more_of_each_under_fsdp(gpus, more, parameters):
    network = Network((Piece("a", parameters, saved=10, alone=True), Piece("b", parameters, saved=10)))
    few, many = (
        need_of(network, "fsdp", FP32, gpus=count, batch=128 * (gpus + more)) for count in (gpus, gpus + more)
    )
    assert many.total <= few.total
    assert few.total >= few.parameters + few.optimizer + few.gradients


def test_accumulating_divides_the_activations_alone():
    whole, parts = (need_of(TWO, "one", FP32, gpus=1, batch=64, accumulate=count) for count in (1, 4))
    assert parts.activations == whole.activations / 4
    assert parts.optimizer == whole.optimizer


def test_half_precision_keeps_fewer_bytes_of_a_block_and_copies_of_its_matrices():
    sizes = {"width": 64, "heads": 2, "tokens": 10, "parameters": 50_000, "matrices": 49_000}
    full, half = (block_piece("block", arithmetic=ARITHMETICS[name], **sizes) for name in ("fp32", "bf16"))
    assert full.saved == 10 * (64 * 16 * 4 + 4 * 2 + 16)
    assert half.saved == 10 * (64 * 36 + 4 * 2 + 16)
    assert (full.matrices, half.matrices) == (0, 49_000)
    need = need_of(Network((half,)), "one", ARITHMETICS["bf16"], gpus=1, batch=1)
    assert need.buffers == 2 * 49_000


def test_muon_keeps_one_average_of_what_it_moves():
    network = Network((Piece("block", 100, turned=90), Piece("head", 50)))
    assert network.optimizer(FP32) == 90 * 4 + 60 * 8
    assert network.states(FP32) == 150 * 8 + 90 * 4 + 60 * 8
    assert need_of(network, "fsdp", FP32, gpus=2, batch=2).optimizer == network.optimizer(FP32) / 2


def test_the_clip_level_term_grows_with_the_square_of_the_clips_compared():
    few, many = (need_of(TWO, "one", FP32, gpus=1, batch=64, compared=count) for count in (0, 1000))
    assert many.activations - few.activations == 13 * 1000**2


def test_fewer_clips_than_parts_are_refused():
    with pytest.raises(
        ConfigError, match=r"a batch of 8 cannot be shared by 16 GPUs in 2 parts each; .* at least 32"
    ):
        need_of(TWO, "ddp", FP32, gpus=16, batch=8, accumulate=2)
