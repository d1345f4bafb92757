"""What a training will take of each GPU's memory, and how to spread it over GPUs and machines."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audiomae.checks import require, require_all
from audiomae.errors import ConfigError
from audiomae.model.config import ModelSettings
from audiomae.model.masking import MaskKind
from audiomae.model.overrides import ModelOverrides, SizeName, sizes_of
from audiomae.planning.choice import GB, Job, Machines, choose, needs_of
from audiomae.planning.memory import (
    ARITHMETICS,
    Arithmetic,
    Arrangement,
    Need,
    Network,
    Piece,
    least_machines,
)
from audiomae.planning.network import network_of
from audiomae.planning.recipe import settings_of_recipe
from audiomae.pretraining.trained import with_projection
from audiomae.progress import SILENT, Progress
from audiomae.training.settings import OptimizerName

__all__ = ["NeedResult", "PlanResult", "PlanSettings", "plan"]


@dataclass(frozen=True)
class PlanSettings:
    """Settings of `audiomae plan`.

    Attributes:
        size: Named size of the model: tiny, small, base or large; tiny without it.
        model: Single sizes of the model that differ from the named size.
        recipe: pretrain.yaml to take size, model, mask, ratio, batch, accumulate, optimizer, precision and pairs from.
        parameters: Bare number of parameters instead of a model, e.g. 1.8e12.
        bytes: Bytes of a parameter, with a bare number: 2 (then AdamW keeps a float32 copy) or 4.
        activations: GB of activations on a GPU, with a bare number, of which nothing else is known.
        batch: Clips in an optimiser step, over all GPUs.
        accumulate: Parts that each GPU cuts its share of the batch into.
        precision: Arithmetic of the matrix products: fp32, or bf16 beside float32 weights.
        mask: What the encoder does not see: spans of time, one_span or single patches.
        ratio: Share of the patches that is masked, in (0, 1).
        pairs: Whether the clip-level term is trained.
        optimizer: Optimiser of a model of this package; of a bare number it is AdamW.
        gpus: GPUs in a machine.
        machines: Machines.
        memory: Memory of a GPU, in GB of 1e9 bytes.
        reserve: Share of that memory left to the driver, the network library and gaps between tensors.
    """

    size: SizeName | None = None
    model: ModelOverrides = field(default_factory=ModelOverrides)
    recipe: str | None = None
    parameters: float | None = None
    bytes: Literal[2, 4] = 2
    activations: float = 0.0
    batch: int = 64
    accumulate: int = 1
    precision: Literal["fp32", "bf16"] = "bf16"
    mask: MaskKind = "spans"
    ratio: float = 0.7
    pairs: bool = True
    optimizer: OptimizerName = "muon"
    gpus: int = 8
    machines: int = 1
    memory: float = 80.0
    reserve: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values out of range, and two models at once."""
        named = self.size is not None or self.model != ModelOverrides()
        if sum([named, self.recipe is not None, self.parameters is not None]) > 1:
            raise ConfigError(
                "give one of --size and --model.…, --recipe, and --parameters; more than one was given."
            )
        require_all(self, "batch", "accumulate", "gpus", "machines", least=1)
        require("memory", self.memory, above=0, unit="GB")
        require("activations", self.activations, least=0, unit="GB")
        require("reserve", self.reserve, least=0, below=1)
        require("ratio", self.ratio, above=0, below=1)
        if self.parameters is not None:
            require("parameters", self.parameters, least=1)

    @property
    def arithmetic(self) -> Arithmetic:
        """Bytes of a parameter and of activations."""
        if self.parameters is not None:
            return ARITHMETICS["fp32" if self.bytes == 4 else "bf16-weights"]
        return ARITHMETICS[self.precision]

    @property
    def sizes(self) -> ModelSettings:
        """The model's sizes, where it is one of this package."""
        return with_projection(sizes_of(self.size, self.model), float(self.pairs))

    @property
    def network(self) -> Network:
        """What is trained, in pieces."""
        if self.parameters is None:
            return network_of(self.sizes, self.mask, self.ratio, self.arithmetic, self.optimizer)
        return Network((Piece("all", int(self.parameters), alone=True),))


@dataclass(frozen=True)
class NeedResult:
    """GB (1e9 bytes) on each GPU.

    Attributes:
        parameters: The weights.
        gradients: Their gradients.
        optimizer: All that the optimiser keeps.
        activations: What the forward pass keeps for backward.
        buffers: Copies of weights in 16 bits, DDP's buckets, FSDP's gathered blocks.
        total: Peak of a step; less than the sum, since gradients appear while activations go.
    """

    parameters: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    total: float

    @classmethod
    def of(cls, need: Need) -> NeedResult:
        """Return bytes as GB."""
        return cls(**{name: getattr(need, name) / GB for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class PlanResult:
    """What the arrangements need, and which to use.

    Attributes:
        settings: What was asked for, with what a recipe said.
        parameters: Parameters of the model.
        weights_gb: GB of all weights.
        states_gb: GB of weights, gradients and optimiser.
        bytes_a_parameter: Bytes of those for each parameter.
        machine_gb: Memory of a machine.
        machines_for_weights: Machines that hold the weights.
        machines_for_states: Machines that hold weights, gradients and optimiser, with the reserve left free.
        room_gb: Memory of a GPU without the reserve.
        needs_gb: Need of each GPU on one GPU, under DDP and under FSDP; None where there are fewer clips than GPUs.
        fits: Whether that fits.
        use: Arrangement to use, None where nothing fits.
        why: Its reasons, in sentences.
    """

    settings: PlanSettings
    parameters: int
    weights_gb: float
    states_gb: float
    bytes_a_parameter: float
    machine_gb: float
    machines_for_weights: int
    machines_for_states: int
    room_gb: float
    needs_gb: dict[Arrangement, NeedResult | None]
    fits: dict[Arrangement, bool]
    use: Arrangement | None
    why: list[str]


def plan(settings: PlanSettings, *, progress: Progress = SILENT) -> PlanResult:  # noqa: ARG001
    """Count what one GPU, DDP and FSDP need of each GPU, which fits, and which to use.

    Raises:
        ConfigError: If settings do not fit together.
        DataError: If the recipe is not one of pretrain.
    """
    if settings.recipe is not None:
        settings = dataclasses.replace(settings, recipe=None, **settings_of_recipe(Path(settings.recipe)))
    network, arithmetic = settings.network, settings.arithmetic
    machines = Machines(settings.gpus, settings.machines, settings.memory * GB, settings.reserve)
    job = Job(
        network,
        arithmetic,
        settings.batch,
        settings.accumulate,
        compared=settings.pairs,
        bare=settings.parameters is not None,
        activations=settings.activations * GB,
    )
    needs, choice = needs_of(job, machines), choose(job, machines)
    weights, states = network.parameters * arithmetic.weight, network.states(arithmetic)
    return PlanResult(
        settings=settings,
        parameters=network.parameters,
        weights_gb=weights / GB,
        states_gb=states / GB,
        bytes_a_parameter=states / network.parameters,
        machine_gb=settings.gpus * settings.memory,
        machines_for_weights=least_machines(weights, settings.gpus, machines.memory),
        machines_for_states=least_machines(states, settings.gpus, machines.room),
        room_gb=machines.room / GB,
        needs_gb={name: None if need is None else NeedResult.of(need) for name, need in needs.items()},
        fits={name: need is not None and need.fits(machines.room) for name, need in needs.items()},
        use=choice.use,
        why=choice.why,
    )
