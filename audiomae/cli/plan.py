"""What a training will take of each GPU's memory, and how to spread it over GPUs and machines."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from audiomae.errors import ConfigError, DataError
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.planning.memory import (
    ARITHMETICS,
    Arithmetic,
    Arrangement,
    Need,
    Network,
    Piece,
    least_machines,
    need_of,
)
from audiomae.planning.network import network_of
from audiomae.planning.recipe import settings_of_recipe
from audiomae.training.settings import OptimizerName

__all__ = ["PlanSettings", "plan"]

GB = 1e9
ARRANGEMENTS: tuple[Arrangement, ...] = ("one", "ddp", "fsdp")
NAMES = {"one": "one GPU", "ddp": "DDP", "fsdp": "FSDP"}
COLUMNS = ("parameters", "gradients", "optimizer", "activations", "buffers", "total")
MOST_MACHINES = 100_000


@dataclass(frozen=True)
class PlanSettings:
    """Settings of `audiomae plan`.

    Attributes:
        size: Named size of the model: tiny, small, base or large.
        model: Sizes of the model, instead of a named size.
        recipe: pretrain.yaml to take size, model, ratio, batch, accumulate and precision from, instead.
        parameters: Bare number of parameters instead of a model, e.g. 1.8e12.
        bytes: Bytes of a parameter, with a bare number: 2 (then AdamW keeps a float32 copy) or 4.
        activations: GB of activations on a GPU, with a bare number, of which nothing else is known.
        batch: Clips in an optimiser step, over all GPUs.
        accumulate: Parts that each GPU cuts its share of the batch into.
        precision: Arithmetic of the matrix products: fp32, or bf16 beside float32 weights.
        ratio: Share of the patches that is blanked.
        pairs: Whether the clip-level term is trained.
        optimizer: Optimiser of a model of this package; of a bare number it is AdamW.
        gpus: GPUs in a machine.
        machines: Machines.
        memory: Memory of a GPU, in GB of 1e9 bytes.
        reserve: Share of that memory left to the driver, the network library and gaps between tensors.
        json: Print one JSON object instead of a table.
    """

    size: Literal["tiny", "small", "base", "large"] | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    recipe: str | None = None
    parameters: float | None = None
    bytes: Literal[2, 4] = 2
    activations: float = 0.0
    batch: int = 64
    accumulate: int = 1
    precision: Literal["fp32", "bf16"] = "bf16"
    ratio: float = 0.7
    pairs: bool = True
    optimizer: OptimizerName = "muon"
    gpus: int = 8
    machines: int = 1
    memory: float = 80.0
    reserve: float = 0.1
    json: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range, and two models at once."""
        given = [self.size is not None, self.model != ModelSettings(), self.recipe is not None]
        if sum([*given, self.parameters is not None]) > 1:
            raise ConfigError(
                "give one of --size, --model.…, --recipe and --parameters; more than one was given."
            )
        for name in ("batch", "accumulate", "gpus", "machines", "memory"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if not 0 <= self.reserve < 1:
            raise ConfigError(f"reserve is {self.reserve}; it is a share from 0 to below 1.")
        if self.parameters is not None and self.parameters < 1:
            raise ConfigError(f"parameters is {self.parameters}; a model has at least 1.")
        if not 0 < self.ratio < 1:
            raise ConfigError(f"ratio is {self.ratio}; it is a share above 0 and below 1.")

    @property
    def arithmetic(self) -> Arithmetic:
        """Bytes of a parameter and of activations."""
        if self.parameters is not None:
            return ARITHMETICS["fp32" if self.bytes == 4 else "bf16-weights"]
        return ARITHMETICS[self.precision]

    @property
    def sizes(self) -> ModelSettings:
        """The model's sizes, where it is one of this package."""
        sizes = self.model if self.size is None else model_of_size(self.size)
        return dataclasses.replace(sizes, projection=128) if self.pairs and not sizes.projection else sizes

    @property
    def network(self) -> Network:
        """What is trained, in pieces."""
        if self.parameters is None:
            return network_of(self.sizes, self.ratio, self.arithmetic, self.optimizer)
        return Network((Piece("all", int(self.parameters), alone=True),))


def plan(config: PlanSettings) -> int:
    """Print what one GPU, DDP and FSDP need of each GPU, which fits, and which to use.

    Raises:
        ConfigError: If settings do not fit together.
        DataError: If the recipe is not one of pretrain.
    """
    config = _with_recipe(config) if config.recipe is not None else config
    network = config.network
    found = judge(config, network)
    if config.json:
        print(json.dumps(found))
        return 0
    _print(config, network, found)
    return 0


def judge(config: PlanSettings, network: Network) -> dict[str, Any]:
    """Return needs in GB, what fits, the choice and its reasons, ready for JSON."""
    room = config.memory * (1 - config.reserve)
    needs = {name: _need(config, network, name, config.machines, config.accumulate) for name in ARRANGEMENTS}
    fits = {name: need is not None and need.fits(room * GB) for name, need in needs.items()}
    choice, lines = _choose(config, network, fits, room)
    weights = network.parameters * config.arithmetic.weight
    machine = config.gpus * config.memory
    if weights > machine * GB:
        lines.insert(
            0, f"The weights alone, {weights / GB:,.0f} GB, are more than one machine's {machine:,.0f} GB."
        )
    states = network.states(config.arithmetic)
    return {
        "parameters": network.parameters,
        "weights_gb": weights / GB,
        "states_gb": states / GB,
        "bytes_a_parameter": states / network.parameters,
        "machine_gb": machine,
        "machines_for_weights": least_machines(weights, config.gpus, config.memory * GB),
        "machines_for_states": least_machines(states, config.gpus, room * GB),
        "room_gb": room,
        "needs_gb": {name: _in_gb(need) for name, need in needs.items()},
        "fits": fits,
        "use": choice,
        "why": lines,
    }


def _in_gb(need: Need | None) -> dict[str, float] | None:
    return None if need is None else {name: getattr(need, name) / GB for name in COLUMNS}


def _need(
    config: PlanSettings, network: Network, arrangement: Arrangement, machines: int, accumulate: int
) -> Need | None:
    """Return bytes on each GPU, or None where there are more GPUs than clips."""
    gpus = config.gpus * machines
    bare = config.parameters is not None
    batch = gpus * accumulate if bare else config.batch
    ranks = 1 if arrangement == "one" else gpus
    if batch < ranks * accumulate:
        return None
    need = need_of(
        network,
        arrangement,
        config.arithmetic,
        gpus=gpus,
        batch=batch,
        accumulate=accumulate,
        compared=0 if bare or not config.pairs else batch,
        gather=not bare,
    )
    more = config.activations * GB if bare else 0.0
    return dataclasses.replace(need, activations=need.activations + more, total=need.total + more)


def _choose(
    config: PlanSettings, network: Network, fits: dict[Arrangement, bool], room: float
) -> tuple[str | None, list[str]]:
    """Return the arrangement to use, and why."""
    gpus = config.gpus * config.machines
    if gpus == 1 and fits["one"]:
        return "one", [f"One GPU holds all of it within {room:.1f} GB."]
    if gpus > 1 and fits["ddp"]:
        why = "DDP: every GPU holds the whole model, and the processes exchange gradients once a step"
        return "ddp", [f"{why}; FSDP would exchange the weights too, for memory that is not short."]
    if gpus > 1 and fits["fsdp"]:
        why = f"FSDP: a whole copy with its optimiser does not fit into {room:.1f} GB, a share on {gpus} GPUs does"
        return "fsdp", [why + "."]
    lines = [f"Nothing fits into {room:.1f} GB a GPU as it is."]
    for parts in (2**power for power in range(1, 13)):
        for name in ARRANGEMENTS[1:] if gpus > 1 else ARRANGEMENTS[:1]:
            need = _need(config, network, name, config.machines, config.accumulate * parts)
            if config.parameters is None and need is not None and need.fits(room * GB):
                lines.append(
                    f"{NAMES[name]} with --accumulate {config.accumulate * parts} fits: the activations of a part of "
                    "the batch at a time."
                )
                return name, lines
    machines = _machines_that_fit(config, network, room)
    if machines is None:
        lines.append(
            "No number of such machines is enough: what does not shrink with them is too large. Use GPUs with "
            "more memory, or a smaller part of the batch at a time."
        )
        return None, lines
    many = config.gpus * machines
    lines.append(
        f"FSDP over at least {machines:,} machines ({many:,} GPUs) does: no single machine holds it."
        if machines > 1
        else "FSDP on one machine does."
    )
    return "fsdp", lines


def _machines_that_fit(config: PlanSettings, network: Network, room: float) -> int | None:
    """Return the fewest machines on which FSDP fits, found by halving, as more machines never need more."""

    def fit(machines: int) -> bool:
        # A batch that has a clip for every GPU: with more GPUs than clips there is no plan.
        asked = dataclasses.replace(
            config, batch=max(config.batch, config.gpus * machines * config.accumulate)
        )
        need = _need(asked, network, "fsdp", machines, config.accumulate)
        return need is not None and need.fits(room * GB)

    high = 1
    while not fit(high):
        high *= 2
        if high > MOST_MACHINES:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fit(middle) else (middle, high)
    return high


def _with_recipe(config: PlanSettings) -> PlanSettings:
    """Return the config with what a pretrain.yaml says."""
    path = Path(str(config.recipe))
    try:
        return dataclasses.replace(config, recipe=None, **settings_of_recipe(path))
    except TypeError as error:
        raise DataError(f"{path}: is not a config of pretrain ({error}).") from error


def _print(config: PlanSettings, network: Network, found: dict[str, Any]) -> None:
    console = Console(markup=False, highlight=False, width=max(110, Console().width))
    gpus = config.gpus * config.machines
    optimizer = "Muon" if config.parameters is None and config.optimizer == "muon" else "AdamW"
    console.print(
        f"{network.parameters:,} parameters of {config.arithmetic.weight} bytes are {_short(found['weights_gb'])} GB; "
        f"with gradients and {optimizer} ({found['bytes_a_parameter']:.3g} bytes a parameter) "
        f"{_short(found['states_gb'])} GB."
    )
    console.print(
        f"One machine has {config.gpus} × {config.memory:g} = {found['machine_gb']:,.0f} GB: the weights alone need "
        f"{found['machines_for_weights']:,} of them, the training states {found['machines_for_states']:,} "
        f"({config.reserve:.0%} left free)."
    )
    batch = "" if config.parameters is not None else f", batch {config.batch}, {config.precision}"
    table = Table(title=f"GB on each of {gpus} GPUs{batch}", title_justify="left")
    table.add_column("arrangement")
    for name in COLUMNS:
        table.add_column({"optimizer": "optimiser", "total": "peak"}.get(name, name), justify="right")
    table.add_column(f"fits {found['room_gb']:.1f} GB")
    for name in ARRANGEMENTS:
        need = found["needs_gb"][name]
        cells = ["–"] * len(COLUMNS) if need is None else [_short(need[one]) for one in COLUMNS]
        answer = "fewer clips than GPUs" if need is None else "yes" if found["fits"][name] else "no"
        table.add_row(NAMES[name], *cells, answer)
    console.print(table)
    for line in found["why"]:
        console.print(line)
    if config.parameters is None:
        console.print(
            "The peak is less than the sum: gradients appear while activations go. Buffers: copies of weights in 16 "
            "bits, DDP's buckets, FSDP's gathered blocks."
        )
    elif not config.activations:
        print("activations and gathered layers of a bare number are not known: not counted.", file=sys.stderr)


def _short(amount: float) -> str:
    """Return GB to the nearest MB, or to the nearest GB where they are many."""
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:.3f}"
