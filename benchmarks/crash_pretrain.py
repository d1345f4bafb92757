"""Kill `audiomae pretrain` with -9 again and again at random moments, let it finish, and compare every byte.

    python benchmarks/crash_pretrain.py [--kills 20] [--seed 0]

One run is killed all those times, each time some steps after it has picked up again; checkpoints are written every two
steps, so that many kills fall into one. TensorBoard files and speeds carry times and are not compared. Ends with 1 if
one byte differs from an unbroken run.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from crashes import ROOT, print_stages
from export_speed import write_clips

STEPS_A_KILL = 12
COMPARED = ("config.json", "model.safetensors", "metrics.jsonl", "result.json")


def start(work: Path, name: str, steps: int) -> subprocess.Popen[bytes]:
    """Start the command on one thread."""
    command = [
        sys.executable,
        "-m",
        "audiomae",
        "pretrain",
        "--corpus",
        str(work / "corpus"),
        "--out",
        str(work / name),
    ]
    settings = {
        "steps": steps,
        "model.width": 32,
        "model.depth": 2,
        "model.heads": 2,
        "train.batch": 16,
        "train.threads": 1,
        "train.log_every": 5,
        "train.checkpoint_every": 2,
        "train.evaluate_every": 50,
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [*command, *words], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=quiet, stderr=sys.stderr
    )


def newest(run: Path) -> int:
    """Return the step of the newest checkpoint, 0 without one."""
    return max((int(path.name[5:]) for path in (run / "checkpoints").glob("step-*")), default=0)


def main() -> int:
    """Kill, rerun, compare; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="times the run is killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    moments = np.random.default_rng(options.seed)
    steps = options.kills * STEPS_A_KILL
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        write_clips(work / "corpus", 256)
        for _ in range(options.kills):
            before = newest(work / "cut")
            process = start(work, "cut", steps)
            while newest(work / "cut") == before and process.poll() is None:
                time.sleep(0.005)
            time.sleep(float(moments.uniform(0, 0.2)))
            process.send_signal(signal.SIGKILL)
            process.wait()
            if (work / "cut" / "result.json").exists():
                found["after the end"] += 1
            elif list((work / "cut" / "checkpoints").glob(".*.tmp")):
                found["while writing a checkpoint"] += 1
            else:
                found["while training"] += 1
        if start(work, "cut", steps).wait() or start(work, "whole", steps).wait():
            return 1
        different = [
            name
            for name in COMPARED
            if (work / "cut" / name).read_bytes() != (work / "whole" / name).read_bytes()
        ]
    print(
        f"{options.kills} kills of one run of {steps} steps; files that differ: {', '.join(different) or 'none'}"
    )
    print_stages(found)
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
