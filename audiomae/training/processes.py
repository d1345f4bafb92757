"""The processes of a training: how Accelerate starts them, what each holds of the model, which samples it takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer

from audiomae.errors import ConfigError
from audiomae.training.batches import move_to, pin
from audiomae.training.ranks import fail_together, is_sharded
from audiomae.training.settings import LoopSettings

__all__ = [
    "compare_parts",
    "draw_parts",
    "gathered",
    "make_accelerator",
    "prepare",
    "set_threads",
    "share_of",
    "whole_weights",
]

BLOCK = "Block"
"""Class whose instances FSDP gathers one at a time."""


B = TypeVar("B", bound=tuple[Any, ...])
Drawn = TypeVar("Drawn", bound=tuple[Any, ...], covariant=True)


class Draws(Protocol[Drawn]):
    """What batches come from."""

    def draw(self, step: int, share: slice) -> Drawn:
        """Return a share of the samples of a step, on the CPU."""


@runtime_checkable
class Compares(Protocol[B]):
    """A task whose loss compares the samples of a step with each other."""

    def compare(self, module: nn.Module, parts: list[B]) -> list[B]:
        """Return the parts of a step, each with what its loss needs of the others."""


def make_accelerator(config: LoopSettings) -> Accelerator:
    """Return the Accelerate handle; without a GPU it stays on the CPU.

    Raises:
        ConfigError: If the batch cannot be shared evenly between the processes, or fp16 or FSDP has no GPU.
    """
    cpu = not torch.cuda.is_available()
    if cpu and config.precision == "fp16":
        raise ConfigError("train.precision fp16 needs a GPU, and there is none. Use bf16 or no.")
    compiler = "inductor" if config.compile else None
    accelerator = Accelerator(
        cpu=cpu, mixed_precision=config.precision, fsdp_plugin=_fsdp(config), dynamo_backend=compiler
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
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=[BLOCK],
        state_dict_type="SHARDED_STATE_DICT",
        cpu_ram_efficient_loading=False,
    )


def prepare(
    accelerator: Accelerator, module: nn.Module, optimizer: Optimizer
) -> tuple[nn.Module, Any, nn.Module]:
    """Return the module and optimiser to train with, and the module without wrappers."""
    plugin = accelerator.state.fsdp_plugin if is_sharded(accelerator) else None
    if plugin is not None and not any(type(part).__name__ == BLOCK for part in module.modules()):
        plugin.auto_wrap_policy = None  # a small network is one part
    prepared, wrapped = accelerator.prepare(module, optimizer)
    return prepared, wrapped, accelerator.unwrap_model(prepared, keep_torch_compile=False)


def set_threads(threads: int, processes: int) -> None:
    """Give this process its share of the cores; 0 shares them between the processes of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(threads or (int(given) if given else max(1, cores // processes)))


def draw_parts(task: Draws[B], step: int, config: LoopSettings, accelerator: Accelerator) -> list[B]:
    """Return what this process takes of a step, a batch for each part of its accumulation, ready to be moved."""
    parts = range(config.accumulate)
    drawn = [task.draw(step, share_of(config, accelerator, part)) for part in parts]
    if accelerator.device.type != "cuda":
        return drawn
    return [pin(batch) for batch in drawn]


def compare_parts(task: Draws[B], module: nn.Module, batches: list[B], accelerator: Accelerator) -> list[B]:
    """Return the parts of a step, each with what its loss needs of the others: cutting a step changes nothing."""
    if len(batches) == 1 or not isinstance(task, Compares):
        return batches
    moved = [move_to(batch, accelerator.device) for batch in batches]
    with accelerator.autocast():
        return task.compare(module, moved)


def share_of(config: LoopSettings, accelerator: Accelerator, part: int) -> slice:
    """Return the samples of a global batch that this process takes in one part of its accumulation."""
    size = config.batch // (accelerator.num_processes * config.accumulate)
    first = (accelerator.process_index * config.accumulate + part) * size
    return slice(first, first + size)


@contextlib.contextmanager
def gathered(plain: nn.Module) -> Iterator[None]:
    """Hold the weights outside of blocks whole on every process; every process calls it."""
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
