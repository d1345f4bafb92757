"""What the scripts that kill a verb and run it again share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from report import markdown

__all__ = ["ROOT", "files", "print_stages"]

ROOT = Path(__file__).resolve().parents[1]


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file but the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def print_stages(stages: Counter[str]) -> None:
    """Print how often a run was killed at which stage."""
    print()
    print(markdown(("killed", "times"), [(stage, str(times)) for stage, times in sorted(stages.items())]))
