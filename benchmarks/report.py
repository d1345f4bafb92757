"""What every benchmark writes beside its figures: on what they were measured."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

__all__ = ["conditions", "markdown"]


def conditions(seed: int | None = None) -> str:
    """Return the hardware, the versions, the load, the command and the seed as lines of Markdown."""
    lines = [
        f"- machine: {_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when this was written",
        f"- versions: Python {platform.python_version()}, torch {torch.__version__}",
        f"- command: `{shlex.join(['python', _script(), *sys.argv[1:]])}`",
    ]
    return "\n".join(lines if seed is None else [*lines, f"- seed: {seed}"])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are set right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, marks, *rows))


def _script() -> str:
    path = Path(sys.argv[0])
    return f"{path.parent.name}/{path.name}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
