"""Which arrangement of GPUs a training needs, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from audiomae.planning.memory import Arithmetic, Arrangement, Need, Network, need_of

__all__ = ["ARRANGEMENTS", "GB", "NAMES", "Job", "Machines", "choose", "needs_of"]

GB = 1e9
ARRANGEMENTS: tuple[Arrangement, ...] = ("one", "ddp", "fsdp")
NAMES: dict[Arrangement, str] = {"one": "one GPU", "ddp": "DDP", "fsdp": "FSDP"}
MOST_MACHINES = 100_000
MOST_PARTS = 4096
"""Parts that a GPU's share of a batch is cut into, at most."""


@dataclass(frozen=True)
class Machines:
    """Alike machines with alike GPUs."""

    gpus: int
    """GPUs in a machine."""
    machines: int
    memory: float
    """Bytes of a GPU."""
    reserve: float
    """Share of them that stays free, from 0 to below 1."""

    @property
    def room(self) -> float:
        """Bytes of a GPU that may be used."""
        return self.memory * (1 - self.reserve)

    @property
    def every(self) -> int:
        """GPUs of all machines."""
        return self.gpus * self.machines


@dataclass(frozen=True)
class Job:
    """What is trained, and how."""

    network: Network
    arithmetic: Arithmetic
    batch: int
    """Clips in an optimiser step, over all GPUs."""
    accumulate: int = 1
    """Parts that each GPU cuts its share of the batch into."""
    compared: bool = True
    """Whether a term compares all clips of the batch with each other."""
    bare: bool = False
    """Whether nothing but the number of parameters is known: then a part is one clip, and nothing is gathered."""
    activations: float = 0.0
    """Bytes of activations on a GPU, of a bare number."""

    def need(
        self, arrangement: Arrangement, machines: Machines, *, accumulate: int | None = None
    ) -> Need | None:
        """Return bytes on each GPU, or None where there are more GPUs than clips."""
        parts = accumulate or self.accumulate
        batch = machines.every * parts if self.bare else self.batch
        ranks = 1 if arrangement == "one" else machines.every
        if batch < ranks * parts:
            return None
        need = need_of(
            self.network,
            arrangement,
            self.arithmetic,
            gpus=machines.every,
            batch=batch,
            accumulate=parts,
            compared=batch if self.compared and not self.bare else 0,
            gather=not self.bare,
        )
        more = self.activations if self.bare else 0.0
        return dataclasses.replace(need, activations=need.activations + more, total=need.total + more)


@dataclass(frozen=True)
class Choice:
    """What to use, None where nothing fits, and the reasons in sentences."""

    use: Arrangement | None
    why: list[str]


def needs_of(job: Job, machines: Machines) -> dict[Arrangement, Need | None]:
    """Return what each arrangement needs of a GPU."""
    return {name: job.need(name, machines) for name in ARRANGEMENTS}


def choose(job: Job, machines: Machines) -> Choice:
    """Return the arrangement to use, and why."""
    use, why = _choice_as_asked(job, machines) or _choice_with_changes(job, machines)
    weights = job.network.parameters * job.arithmetic.weight
    one = machines.gpus * machines.memory
    if weights > one:
        why.insert(
            0, f"The weights alone, {weights / GB:,.0f} GB, are more than one machine's {one / GB:,.0f} GB."
        )
    return Choice(use, why)


def _choice_as_asked(job: Job, machines: Machines) -> tuple[Arrangement, list[str]] | None:
    """Return the simplest arrangement that fits as it was asked for, or None."""
    room = machines.room / GB
    fits = {
        name: need is not None and need.fits(machines.room) for name, need in needs_of(job, machines).items()
    }
    if machines.every == 1:
        return ("one", [f"One GPU holds all of it within {room:.1f} GB."]) if fits["one"] else None
    if fits["ddp"]:
        why = "DDP: every GPU holds the whole model, and the processes exchange gradients once a step"
        return "ddp", [f"{why}; FSDP would exchange the weights too, for memory that is not short."]
    if fits["fsdp"]:
        why = f"FSDP: a whole copy with its optimiser does not fit into {room:.1f} GB"
        return "fsdp", [f"{why}, a share on {machines.every} GPUs does."]
    return None


def _choice_with_changes(job: Job, machines: Machines) -> tuple[Arrangement | None, list[str]]:
    """Return what fits in smaller parts or on more machines, where nothing fits as it is."""
    lines = [f"Nothing fits into {machines.room / GB:.1f} GB a GPU as it is."]
    for parts, name in _smaller_parts(job, machines):
        need = job.need(name, machines, accumulate=parts)
        if need is not None and need.fits(machines.room):
            what = f"{NAMES[name]} with --accumulate {parts} fits"
            return name, [*lines, f"{what}: the activations of a part of the batch at a time."]
    least = _machines_that_fit(job, machines)
    if least is None:
        lines.append(
            "No number of such machines is enough: what does not shrink with them is too large. Use GPUs with "
            "more memory, or a smaller part of the batch at a time."
        )
        return None, lines
    if least == 1:
        return "fsdp", [*lines, "FSDP on one machine does."]
    gpus = machines.gpus * least
    return "fsdp", [
        *lines,
        f"FSDP over at least {least:,} machines ({gpus:,} GPUs) does: no single machine holds it.",
    ]


def _smaller_parts(job: Job, machines: Machines) -> Iterator[tuple[int, Arrangement]]:
    """Yield parts and arrangements to try; none for a bare number, of whose activations nothing is known."""
    names = ARRANGEMENTS[1:] if machines.every > 1 else ARRANGEMENTS[:1]
    parts = 2
    while parts <= MOST_PARTS and not job.bare:
        yield from ((job.accumulate * parts, name) for name in names)
        parts *= 2


def _machines_that_fit(job: Job, machines: Machines) -> int | None:
    """Return the fewest machines on which FSDP fits, found by halving, as more machines never need more."""

    def fit(count: int) -> bool:
        # A batch that has a clip for every GPU: with more GPUs than clips there is no plan.
        asked = dataclasses.replace(job, batch=max(job.batch, machines.gpus * count * job.accumulate))
        need = asked.need("fsdp", dataclasses.replace(machines, machines=count))
        return need is not None and need.fits(machines.room)

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
