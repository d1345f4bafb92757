"""Two CPU processes on two cores beside one process on one core: clips a second of real `audiomae pretrain`.

    python benchmarks/two_ranks.py [--size tiny] [--batch 64] [--steps 30] [--rounds 3] [--corpus CORPUS]

Each process takes --batch clips a step, so two take twice as many together. One process is kept to one core, two to
two; one thread each. The arms take turns; a run's figure is the median of what it wrote into speed.jsonl after its
first line. Medians over the rounds. The aim is 1.7 times, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from noise_corpus import write_noise_corpus
from report import conditions, markdown


def rate(corpus: Path, run: Path, processes: int, options: argparse.Namespace) -> float:
    """Train in new processes, and return clips a second."""
    cores = sorted(os.sched_getaffinity(0))[:processes]
    if len(cores) < processes:
        sys.exit(f"{processes} processes need as many cores; there are {len(cores)}.")
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    words = [sys.executable, "-m", *(launcher if processes > 1 else []), "audiomae", "pretrain"]
    settings = {
        "corpus": corpus,
        "out": run,
        "size": options.size,
        "steps": options.steps,
        "train.batch": options.batch * processes,
        "train.log_every": max(1, options.steps // 6),
        "train.evaluate_every": 10 * options.steps,
        "train.checkpoint_every": 10 * options.steps,
        "train.threads": 1,
    }
    for name, value in settings.items():
        words += [f"--{name}", str(value)]
    pinned = [sys.executable, "-c", PIN, ",".join(map(str, cores)), *words]
    done = subprocess.run(
        pinned, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"pretrain failed:\n{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in (run / "speed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["processes"] for line in lines} == {processes}
    return statistics.median(line["clips_per_second"] for line in lines[1:])


PIN = """import os, sys
os.sched_setaffinity(0, set(map(int, sys.argv[1].split(","))))
os.execv(sys.argv[2], sys.argv[2:])"""
"""Keeps itself to some cores and becomes the command."""


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="tiny", help="named size of the model, default tiny")
    parser.add_argument("--batch", type=int, default=64, help="clips a step of each process, default 64")
    parser.add_argument("--steps", type=int, default=30, help="steps of a run, default 30")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, default 3")
    parser.add_argument("--corpus", help="folder made by audiomae prepare; default noise")
    options = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(options.corpus or Path(folder) / "corpus")
        if not options.corpus:
            write_noise_corpus(corpus, tracks=64, seconds=60)
        for number in range(options.rounds):
            for processes in (1, 2) if number % 2 == 0 else (2, 1):
                loads.append(os.getloadavg()[0])
                run = Path(folder) / f"run-{number}-{processes}"
                rates[processes].append(rate(corpus, run, processes, options))
    times = sorted(two / one for one, two in zip(rates[1], rates[2], strict=True))
    rows = [
        ["one process, one core", f"{statistics.median(rates[1]):.1f}", ""],
        [
            "two processes, two cores",
            f"{statistics.median(rates[2]):.1f}",
            f"{statistics.median(times):.2f} ({times[0]:.2f} to {times[-1]:.2f})",
        ],
    ]
    print(markdown([f"pretrain {options.size}, {options.batch} clips a process", "clips/s", "times"], rows))
    shown = ", ".join(f"{load:.1f}" for load in loads)
    print(f"\n- load average before each run: {shown} (its own runs raise it to 2)")
    print(conditions())


if __name__ == "__main__":
    main()
