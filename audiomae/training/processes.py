"""The processes of a training: how Accelerate starts them, what each holds of the model, which samples it takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from torch.optim import Optimizer

from audiomae.errors import ConfigError
from audiomae.training.ranks import fail_together, is_sharded
from audiomae.training.settings import LoopSettings

__all__ = [
    "gathered",
    "make_accelerator",
    "prepare",
    "set_threads",
    "share_of",
    "whole_weights",
]


def make_accelerator(config: LoopSettings) -> Accelerator:
    """Return the Accelerate handle; without a GPU it stays on the CPU.

    Raises:
        ConfigError: If the batch cannot be shared evenly between the processes, or fp16 or FSDP has no GPU.
    """
    cpu = not torch.cuda.is_available()
    if cpu and config.precision == "fp16":
        raise ConfigError("train.precision fp16 needs a GPU, and there is none. Use bf16 or fp32.")
    compiler = "inductor" if config.compile else None
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        fsdp_plugin=_fsdp(config),
        dynamo_backend=compiler,
    )
    parts = accelerator.num_processes * config.accumulate
    with fail_together(accelerator):
        if config.batch % parts:
            raise ConfigError(
                f"train.batch {config.batch} cannot be shared by {accelerator.num_processes} processes in "
                f"{config.accumulate} parts each. Use a multiple of {parts}."
            )
        if config.sharding == "fsdp" and accelerator.num_processes > 1 and not is_sharded(accelerator):
            raise ConfigError(
                f"train.sharding fsdp needs a GPU for each process, and these {accelerator.num_processes} have none. "
                "Use --train.sharding launcher."
            )
    return accelerator


def _fsdp(config: LoopSettings) -> FullyShardedDataParallelPlugin | None:
    """Return how to keep the weights in parts, if asked for; else the launcher's settings hold."""
    if config.sharding != "fsdp":
        return None
    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        reshard_after_forward=True,
        auto_wrap_policy="no_wrap",  # until `prepare` knows the units
        state_dict_type="SHARDED_STATE_DICT",
        cpu_ram_efficient_loading=False,
    )


def prepare(
    accelerator: Accelerator, module: nn.Module, optimizer: Optimizer, units: Sequence[nn.Module]
) -> tuple[nn.Module, Any, nn.Module]:
    """Return the module and optimiser to train with, and the module without wrappers.

    Args:
        accelerator: From `make_accelerator`.
        module: What is trained.
        optimizer: What moves it.
        units: Parts of it that FSDP gathers one at a time, unless the launcher says which.
    """
    if is_sharded(accelerator):
        plugin = accelerator.state.fsdp_plugin
        if not units:
            plugin.auto_wrap_policy = None  # a small network is one part
        elif plugin.auto_wrap_policy is None:
            plugin.auto_wrap_policy = transformer_auto_wrap_policy
            plugin.transformer_cls_names_to_wrap = sorted({type(unit).__name__ for unit in units})
    prepared, wrapped = accelerator.prepare(module, optimizer)
    return prepared, wrapped, accelerator.unwrap_model(prepared, keep_torch_compile=False)


def set_threads(threads: int, processes: int) -> None:
    """Give this process its share of the cores; 0 shares them between the processes of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(threads or (int(given) if given else max(1, cores // processes)))


def share_of(config: LoopSettings, accelerator: Accelerator, part: int) -> slice:
    """Return the samples of a global batch that this process takes in one part of its accumulation."""
    size = config.batch // (accelerator.num_processes * config.accumulate)
    first = (accelerator.process_index * config.accumulate + part) * size
    return slice(first, first + size)


@contextlib.contextmanager
def gathered(plain: nn.Module) -> Iterator[None]:
    """Hold the weights outside of a task's units whole on every process; every process calls it."""
    if isinstance(plain, FSDPModule):
        plain.unshard()
    try:
        yield
    finally:
        if isinstance(plain, FSDPModule):
            plain.reshard()


def whole_weights(accelerator: Accelerator, plain: nn.Module) -> dict[str, Tensor]:
    """Return the module's state on the CPU of the first process."""
    if is_sharded(accelerator):
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return {
            name: value
            for name, value in get_model_state_dict(plain, options=whole).items()
            if isinstance(value, Tensor)
        }
    if not accelerator.is_main_process:
        return {}
    return {name: value.detach().cpu() for name, value in plain.state_dict().items()}
