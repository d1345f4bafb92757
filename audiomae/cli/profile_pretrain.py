"""The table that `audiomae pretrain --profile N` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from audiomae.training.profile import PHASES, Profile

__all__ = ["print_profile"]


def print_profile(profile: Profile, *, steps: int, batch: int, processes: int, precision: str) -> None:
    """Print where a step's time went, clips a second, and the share of the matrix peak, on stdout."""
    kind = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}[precision]
    table = Table()
    table.add_column("phase")
    table.add_column("milliseconds", justify="right")
    table.add_column("share", justify="right")
    whole = sum(profile.seconds.values())
    for phase in PHASES:
        seconds = profile.seconds[phase]
        table.add_row(phase, f"{1000 * seconds:.2f}", f"{seconds / whole:.1%}")
    table.add_row("whole step", f"{1000 * whole:.2f}", "100.0%", end_section=True)
    console = Console(markup=False, width=max(100, Console().width))
    where = "one process" if processes == 1 else f"{processes} processes"
    console.print(f"{steps} steps of {batch} clips, {where}, matrix products in {kind}", highlight=False)
    console.print(table)
    lines = [
        f"clips/s             {profile.clips_per_second:.1f}",
        f"arithmetic          {profile.flops_per_second / 1e9:.1f} GFLOP/s "
        f"({profile.flops / batch / 1e9:.2f} GFLOP a clip, forward and backward)",
        f"matrix peak         {profile.peak / 1e9:.1f} GFLOP/s (a square product in {kind}, just measured)",
        f"share of the peak   {profile.share_of_peak:.1%}",
    ]
    for line in lines:
        console.print(line, highlight=False)
