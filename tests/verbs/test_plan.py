"""`audiomae plan`: the textbook case, the choice and its reasons."""

from __future__ import annotations

import dataclasses

import pytest

from audiomae.errors import ConfigError, DataError, MissingError
from audiomae.model.overrides import ModelOverrides
from audiomae.verbs.plan import PlanResult, PlanSettings, plan


def told(**settings) -> PlanResult:
    return plan(PlanSettings(**settings))


def test_muon_needs_less_than_adamw_and_a_bare_number_is_for_adamw():
    muon, adamw = (told(size="base", optimizer=name) for name in ("muon", "adamw"))
    assert muon.needs_gb["ddp"].optimizer < 0.55 * adamw.needs_gb["ddp"].optimizer
    assert (muon.bytes_a_parameter, adamw.bytes_a_parameter) == (pytest.approx(12.1, abs=0.1), 16)
    assert told(parameters=1e9).bytes_a_parameter == 16


@pytest.mark.parametrize(
    ("gpus", "memory", "machine", "for_weights"), [(8, 141, 1128, 4), (16, 24, 384, 10), (8, 48, 384, 10)]
)
def test_the_textbook_model_goes_over_several_machines(gpus, memory, machine, for_weights):
    found = told(parameters=1.8e12, bytes=2, gpus=gpus, memory=memory)
    assert found.weights_gb == 3600
    assert found.machine_gb == machine
    assert found.machines_for_weights == for_weights
    assert found.states_gb == 28_800
    assert not any(found.fits.values())
    assert found.use == "fsdp"
    assert f"3,600 GB, are more than one machine's {machine:,} GB" in found.why[0]
    least = found.machines_for_states
    enough = told(parameters=1.8e12, bytes=2, gpus=gpus, memory=memory, machines=least)
    short = told(parameters=1.8e12, bytes=2, gpus=gpus, memory=memory, machines=least - 1)
    assert (enough.fits["fsdp"], short.fits["fsdp"]) == (True, False)
    assert f"at least {least} machines" in found.why[-1]


def test_a_small_model_on_many_gpus_is_for_ddp():
    found = told(size="base", batch=2048, gpus=8, memory=80)
    assert found.fits == {"one": True, "ddp": True, "fsdp": True}
    assert found.use == "ddp"
    assert found.needs_gb["fsdp"].optimizer == pytest.approx(found.needs_gb["ddp"].optimizer / 8)


def test_one_gpu_is_enough_where_there_is_one():
    found = told(size="tiny", batch=64, gpus=1, memory=8)
    assert found.use == "one"


def test_a_model_whose_states_exceed_a_gpu_is_for_fsdp():
    found = told(parameters=7e9, bytes=4, gpus=8, memory=80)
    assert found.fits == {"one": False, "ddp": False, "fsdp": True}
    assert found.use == "fsdp"
    assert "does not fit into 72.0 GB" in found.why[0]


def test_activations_that_are_too_many_are_taken_in_parts():
    found = told(size="base", batch=2048, gpus=1, memory=24)
    assert not found.fits["one"]
    assert found.use == "one"
    assert "one GPU with --accumulate 4 fits" in found.why[1]


def test_what_no_number_of_machines_shrinks_is_said():
    found = told(parameters=1e9, activations=100.0, gpus=8, memory=80)
    assert found.use is None
    assert "No number of such machines is enough" in found.why[1]


def test_fewer_clips_than_gpus_is_a_row_not_an_error():
    assert told(size="tiny", batch=4, gpus=8).needs_gb["ddp"] is None


def test_a_recipe_gives_size_and_batch(tmp_path):
    recipe = tmp_path / "pretrain.yaml"
    recipe.write_text(
        "steps: 5\nsize: small\nratio: 0.5\npairs:\n  weight: 0\n"
        "train:\n  batch: 128\n  optimizer: adamw\n  precision: 'no'\n"
    )
    found = told(recipe=str(recipe), gpus=2)
    direct = told(
        size="small", ratio=0.5, pairs=False, batch=128, precision="fp32", optimizer="adamw", gpus=2
    )
    assert found == direct
    recipe.write_text("size: small\nmask: patches\nmodel:\n  clip_frames: 992\n")
    longer = told(recipe=str(recipe))
    assert longer.settings.sizes.clip_frames == 992
    assert longer == told(size="small", mask="patches", model=ModelOverrides(clip_frames=992))
    recipe.write_text("model:\n  width: 96\n")
    assert told(recipe=str(recipe)).parameters < found.parameters


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &a [*a]", "is not YAML .nested too deep, or it repeats itself without end"),
        ("a: " + "[" * 5000, "is not YAML .nested too deep"),
        ("train: 3", "train holds no settings of its own"),
    ],
)
def test_a_recipe_without_end_or_of_other_types_is_one_line(tmp_path, text, line):
    recipe = tmp_path / "pretrain.yaml"
    recipe.write_text(text)
    with pytest.raises(DataError, match=line) as caught:
        told(recipe=str(recipe))
    assert "\n" not in str(caught.value)


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
        ({"gpus": 0}, "gpus is 0; it must be at least 1"),
        ({"reserve": 1.0}, "reserve is 1.0; it must be at least 0 and below 1"),
        ({"parameters": 0.0}, "parameters is 0.0; it must be at least 1"),
        ({"ratio": 1.0}, "ratio is 1.0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PlanSettings(), **changes)


def test_masks_of_single_patches_and_other_shares_change_the_activations():
    few, many = (told(size="tiny", ratio=ratio).needs_gb["one"] for ratio in (0.9, 0.5))
    assert few is not None
    assert many is not None
    assert few.activations < many.activations
    # 0.71 of 31 columns are 22, and of 155 patches 110: as many; 0.75 are 23 columns, 115 patches, and 116 patches.
    one, other = (told(size="tiny", ratio=0.75, mask=mask).needs_gb["one"] for mask in ("spans", "patches"))
    assert one != other


def test_a_named_size_is_a_base_for_single_settings():
    found = told(size="small", model=ModelOverrides(mels=128))
    assert (found.settings.sizes.width, found.settings.sizes.mels) == (384, 128)
    assert found.parameters > told(size="small").parameters  # the clip-level head reads every row
