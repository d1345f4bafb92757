"""Kill `audiomae export --whiten` with -9 at random moments, run it again, and compare every byte.

    python benchmarks/crash_export.py [--kills 20] [--seed 0]

A tiny model embeds a corpus of noise; the whitening is fitted anew in each run. Ends with 1 if one byte differs
from an unbroken run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from crashes import ROOT, files, print_stages
from export_speed import write_clips

from audiomae.model.config import model_of_size
from audiomae.model.embedder import save, untrained


def start(work: Path, name: str) -> subprocess.Popen[bytes]:
    """Start the command on a model folder of its own."""
    model = work / f"run-{name}"
    if not model.exists():
        shutil.copytree(work / "run", model)
    command = [sys.executable, "-m", "audiomae", "export", str(model), str(work / "corpus")]
    settings = [
        "--out",
        str(work / name),
        "--whiten",
        "32",
        "--part_clips",
        "16",
        "--batch",
        "4",
        "--threads",
        "1",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, *settings], env=environment, stdout=quiet, stderr=quiet)


def written(out: Path) -> int:
    """Return how many parts there are, whitened or not yet."""
    return len(list(out.glob("clips/part-*"))) + len(list(out.glob(".raw/clips/part-*")))


def stage_of(out: Path) -> str:
    """Say how far a killed run had come."""
    if (out / "vectors.json").exists():
        return "finished"
    if (out / "whitening.safetensors").exists():
        return "while whitening"
    return "while embedding" if (out / ".raw").exists() else "before the first part"


def wait_for_work(process: subprocess.Popen[bytes], out: Path) -> float:
    """Wait until the command has locked its folder, and return the time."""
    while process.poll() is None and not (out / ".lock").exists():
        time.sleep(0.01)
    return time.perf_counter()


def main() -> int:
    """Kill, rerun, compare; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        write_clips(work / "corpus", 128, 16)
        save(untrained(model_of_size("tiny", width=96, depth=3)), work / "run", {})
        process = start(work, "whole")
        begin = wait_for_work(process, work / "whole")
        if process.wait():
            return 1
        seconds = time.perf_counter() - begin
        whole, models = files(work / "whole"), files(work / "run-whole")
        stages: Counter[str] = Counter()
        different = 0
        parts = len(list((work / "whole" / "clips").glob("part-*")))
        for number in range(options.kills):
            name = f"cut-{number}"
            draw = np.random.default_rng([options.seed, number])
            # Each part is written twice, before and after whitening; kill after some of them, a moment later.
            target = int(draw.integers(0, 2 * parts))
            process = start(work, name)
            while written(work / name) < target and process.poll() is None:
                time.sleep(0.002)
            time.sleep(float(draw.uniform(0, 0.1)))
            process.send_signal(signal.SIGKILL)
            process.wait()
            stages[stage_of(work / name)] += 1
            if start(work, name).wait():
                return 1
            different += files(work / name) != whole or files(work / f"run-{name}") != models
    print(
        f"{options.kills} kills within {seconds:.1f} s of work, {len(whole)} files; "
        f"reruns that differ: {different}"
    )
    print_stages(stages)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
