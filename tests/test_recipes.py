"""Every recipe's settings are settings that the verbs know."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

from audiomae.cli.main import read_settings
from audiomae.errors import ConfigError
from audiomae.model.transformer import Block
from audiomae.training.processes import make_accelerator
from audiomae.training.settings import LoopSettings

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
LAUNCHERS = sorted(RECIPES.glob("accelerate/*.yaml"))
FILES = sorted(path for path in RECIPES.glob("*/*.yaml") if path not in LAUNCHERS)


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_parses(file):
    verb = file.stem.split("_")[0]
    needed = {"pretrain": ["--corpus", "corpus"], "prepare": []}[verb]
    config = read_settings(verb, ["--config", str(file), *needed])
    if verb == "pretrain":
        assert config.minutes or config.steps
    else:
        assert len(config.songs) > 3


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda path: path.stem)
def test_accelerate_knows_every_line_of_a_launchers_file(file):
    config = load_config_from_file(str(file))
    assert config.num_processes == 8 * config.num_machines
    assert config.mixed_precision == "bf16"
    if config.distributed_type == DistributedType.FSDP:
        assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] == Block.__name__
        assert config.fsdp_config["fsdp_version"] == 2


def test_the_recipes_of_masks_mask_what_they_say():
    one = read_settings("pretrain", ["--config", str(RECIPES / "one_second/pretrain.yaml"), "--corpus", "c"])
    assert (one.mask, round(31 * one.ratio)) == ("one_span", 6)  # 6 columns of 160 ms


def test_half_precision_without_a_gpu_is_refused_in_one_line():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=r"fp16 needs a GPU, and there is none\. Use bf16 or fp32\."):
        make_accelerator(LoopSettings(precision="fp16"))
