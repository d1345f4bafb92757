"""`audiomae plan`: the textbook case, the choice and its reasons, and activations counted on the real network."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from audiomae.cli.plan import PlanSettings, plan
from audiomae.errors import ConfigError, DataError, MissingError
from audiomae.model.autoencoder import Autoencoder, split_places
from audiomae.model.clip_head import pair_loss
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.masking import blank
from audiomae.planning.memory import ARITHMETICS
from audiomae.planning.network import network_of, tokens_of
from audiomae.training.optimizer import make_optimizer, named_state
from audiomae.training.settings import LoopSettings


def told(capsys, **settings) -> dict:
    assert plan(PlanSettings(json=True, **settings)) == 0
    return json.loads(capsys.readouterr().out)


def bytes_saved(sizes: ModelSettings, clips: int, *, half: bool) -> int:
    """Run the real forward pass and count what autograd keeps, each storage once, weights not."""
    module = Autoencoder(sizes)
    mask = blank("spans", clips, sizes.columns, sizes.rows, ratio=0.7, longest=4)
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
    network = network_of(sizes, 0.7, ARITHMETICS[precision])
    copies = 2 * sum(piece.matrices for piece in network.pieces)
    counted = bytes_saved(sizes, 8, half=precision == "bf16")
    # Some vectors of the clip-level term are left out of the formula.
    assert 8 * network.saved + copies == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_pieces_hold_every_parameter(size):
    sizes = model_of_size(size, projection=128)
    counted = sum(value.numel() for value in Autoencoder(sizes).parameters())
    network = network_of(sizes, 0.7, ARITHMETICS["fp32"])
    assert network.parameters == counted
    assert tokens_of(sizes, 0.7) == (45, 44)


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
    assert network_of(sizes, 0.7, fp32, optimizer).optimizer(fp32) == sum(value.nbytes for value in kept)


def test_muon_needs_less_than_adamw_and_a_bare_number_is_for_adamw(capsys):
    muon, adamw = (told(capsys, size="base", optimizer=name) for name in ("muon", "adamw"))
    assert muon["needs_gb"]["ddp"]["optimizer"] < 0.55 * adamw["needs_gb"]["ddp"]["optimizer"]
    assert (muon["bytes_a_parameter"], adamw["bytes_a_parameter"]) == (pytest.approx(12.1, abs=0.1), 16)
    assert told(capsys, parameters=1e9)["bytes_a_parameter"] == 16
    plan(PlanSettings(size="base"))
    assert "with gradients and Muon (12.1 bytes a parameter)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("gpus", "memory", "machine", "for_weights"), [(8, 141, 1128, 4), (16, 24, 384, 10), (8, 48, 384, 10)]
)
def test_the_textbook_model_goes_over_several_machines(capsys, gpus, memory, machine, for_weights):
    found = told(capsys, parameters=1.8e12, bytes=2, gpus=gpus, memory=memory)
    assert found["weights_gb"] == 3600
    assert found["machine_gb"] == machine
    assert found["machines_for_weights"] == for_weights
    assert found["states_gb"] == 28_800
    assert not any(found["fits"].values())
    assert found["use"] == "fsdp"
    assert f"3,600 GB, are more than one machine's {machine:,} GB" in found["why"][0]
    least = found["machines_for_states"]
    enough = told(capsys, parameters=1.8e12, bytes=2, gpus=gpus, memory=memory, machines=least)
    short = told(capsys, parameters=1.8e12, bytes=2, gpus=gpus, memory=memory, machines=least - 1)
    assert (enough["fits"]["fsdp"], short["fits"]["fsdp"]) == (True, False)
    assert f"at least {least} machines" in found["why"][-1]


def test_a_small_model_on_many_gpus_is_for_ddp(capsys):
    found = told(capsys, size="base", batch=2048, gpus=8, memory=80)
    assert found["fits"] == {"one": True, "ddp": True, "fsdp": True}
    assert found["use"] == "ddp"
    assert found["needs_gb"]["fsdp"]["optimizer"] == pytest.approx(found["needs_gb"]["ddp"]["optimizer"] / 8)


def test_one_gpu_is_enough_where_there_is_one(capsys):
    found = told(capsys, size="tiny", batch=64, gpus=1, memory=8)
    assert found["use"] == "one"


def test_a_model_whose_states_exceed_a_gpu_is_for_fsdp(capsys):
    found = told(capsys, parameters=7e9, bytes=4, gpus=8, memory=80)
    assert found["fits"] == {"one": False, "ddp": False, "fsdp": True}
    assert found["use"] == "fsdp"
    assert "does not fit into 72.0 GB" in found["why"][0]


def test_activations_that_are_too_many_are_taken_in_parts(capsys):
    found = told(capsys, size="base", batch=2048, gpus=1, memory=24)
    assert not found["fits"]["one"]
    assert found["use"] == "one"
    assert "one GPU with --accumulate 4 fits" in found["why"][1]


def test_what_no_number_of_machines_shrinks_is_said(capsys):
    found = told(capsys, parameters=1e9, activations=100.0, gpus=8, memory=80)
    assert found["use"] is None
    assert "No number of such machines is enough" in found["why"][1]


def test_the_table_names_the_columns_and_the_choice(capsys):
    plan(PlanSettings(size="tiny", batch=256, gpus=2, memory=24))
    said = capsys.readouterr().out
    for word in ("parameters", "gradients", "optimiser", "activations", "one GPU", "DDP", "FSDP", "peak"):
        assert word in said
    assert "DDP: every GPU holds the whole model" in said


def test_fewer_clips_than_gpus_is_a_row_not_an_error(capsys):
    assert told(capsys, size="tiny", batch=4, gpus=8)["needs_gb"]["ddp"] is None


def test_a_recipe_gives_size_and_batch(tmp_path, capsys):
    recipe = tmp_path / "pretrain.yaml"
    recipe.write_text(
        "steps: 5\nsize: small\nratio: 0.5\npairs:\n  weight: 0\n"
        "train:\n  batch: 128\n  optimizer: adamw\n  precision: 'no'\n"
    )
    found = told(capsys, recipe=str(recipe), gpus=2)
    direct = told(
        capsys, size="small", ratio=0.5, pairs=False, batch=128, precision="fp32", optimizer="adamw", gpus=2
    )
    assert found == direct
    recipe.write_text("model:\n  width: 96\n")
    assert told(capsys, recipe=str(recipe))["parameters"] < found["parameters"]


def test_a_recipe_that_is_none_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"nowhere\.yaml: cannot be read"):
        plan(PlanSettings(recipe=str(tmp_path / "nowhere.yaml")))
    bad = tmp_path / "bad.yaml"
    for text, message in (
        ("a: [", "is not YAML"),
        ("just words", "holds no settings"),
        ("model: {wide: 3}", "not a con"),
    ):
        bad.write_text(text)
        with pytest.raises(DataError, match=message):
            plan(PlanSettings(recipe=str(bad)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "base", "parameters": 1e9}, "more than one was given"),
        ({"gpus": 0}, "gpus is 0; it must be above 0"),
        ({"reserve": 1.0}, "reserve is 1.0; it is a share"),
        ({"parameters": 0.0}, "parameters is 0.0; a model has at least 1"),
        ({"ratio": 1.0}, "ratio is 1.0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PlanSettings(), **changes)
