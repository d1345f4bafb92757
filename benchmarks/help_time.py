"""How long `audiomae --help` takes, beside an interpreter that does nothing.

    python benchmarks/help_time.py [--runs 10]

Each is a process of its own, the two in turn; medians. The target is below 0.5 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from report import conditions, markdown

COMMANDS = {
    "python, nothing at all": [sys.executable, "-c", "pass"],
    "audiomae --help": [sys.executable, "-m", "audiomae", "--help"],
    "audiomae pretrain --help (imports torch)": [sys.executable, "-m", "audiomae", "pretrain", "--help"],
}


def run_once(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="runs of each, default 10")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(options.runs + 1):
        for name, command in COMMANDS.items():
            taken = run_once(command)
            if turn:  # the first one fills the file cache
                seconds[name].append(taken)
    rows = [
        [name, f"{statistics.median(taken):.2f}", f"{min(taken):.2f}", f"{max(taken):.2f}"]
        for name, taken in seconds.items()
    ]
    print(markdown(["command", "median, s", "fastest", "slowest"], rows))
    print(f"\n{conditions()}")


if __name__ == "__main__":
    main()
