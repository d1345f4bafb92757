"""What `audiomae plan` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table, wide_console
from audiomae.planning.choice import ARRANGEMENTS, NAMES
from audiomae.verbs.plan import NeedResult, PlanResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae plan --size base --batch 2048 --gpus 8 --memory 80"
MAIN = ("size", "recipe", "parameters", "batch", "accumulate", "precision", "gpus", "machines", "memory")
"""Settings that `--help` shows first."""

COLUMNS = ("parameters", "gradients", "optimizer", "activations", "buffers", "total")
TITLES = {"optimizer": "optimiser", "total": "peak"}


def show(result: PlanResult) -> None:
    """Print what each arrangement needs of a GPU as a table, which to use, and why."""
    settings, bare = result.settings, result.settings.parameters is not None
    optimizer = "Muon" if not bare and settings.optimizer == "muon" else "AdamW"
    lines = [
        f"{result.parameters:,} parameters of {settings.arithmetic.weight} bytes are {_short(result.weights_gb)} GB; "
        f"with gradients and {optimizer} ({result.bytes_a_parameter:.3g} bytes a parameter) "
        f"{_short(result.states_gb)} GB.",
        f"One machine has {settings.gpus} × {settings.memory:g} = {result.machine_gb:,.0f} GB: the weights alone need "
        f"{result.machines_for_weights:,} of them, the training states {result.machines_for_states:,} "
        f"({settings.reserve:.0%} left free).",
    ]
    for line in lines:
        wide_console().print(line)
    batch = "" if bare else f", batch {settings.batch}, {settings.precision}"
    columns = ("arrangement", *(TITLES.get(name, name) for name in COLUMNS), f"fits {result.room_gb:.1f} GB")
    rows = [(NAMES[name], *_cells(result.needs_gb[name], fits=result.fits[name])) for name in ARRANGEMENTS]
    title = f"GB on each of {settings.gpus * settings.machines} GPUs{batch}"
    print_table(title, columns, rows, right=range(1, 1 + len(COLUMNS)))
    for line in (*result.why, _about_the_figures(result)):
        wide_console().print(line)


def _cells(need: NeedResult | None, *, fits: bool) -> list[str]:
    if need is None:
        return ["–"] * len(COLUMNS) + ["fewer clips than GPUs"]
    return [*(_short(getattr(need, name)) for name in COLUMNS), "yes" if fits else "no"]


def _about_the_figures(result: PlanResult) -> str:
    if result.settings.parameters is None:
        return (
            "The peak is less than the sum: gradients appear while activations go. Buffers: copies of weights in 16 "
            "bits, DDP's buckets, FSDP's gathered blocks."
        )
    if not result.settings.activations:
        return "Of a bare number, activations and gathered layers are not known: they are not counted."
    return "Of a bare number, gathered layers are not known: they are not counted."


def _short(amount: float) -> str:
    """Return GB to the nearest MB, or to the nearest GB where they are many."""
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:.3f}"
