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
from export_speed import write_noise_corpus

from audiomae.model.config import model_of_size
from audiomae.model.embedder import save, untrained

ROOT = Path(__file__).resolve().parents[1]


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file but the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


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
        "32",
        "--batch",
        "16",
        "--threads",
        "1",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, *settings], env=environment, stdout=quiet, stderr=quiet)


def stage_of(out: Path) -> str:
    """Say how far a killed run had come."""
    if (out / "vectors.json").exists():
        return "finished"
    if (out / "whitening.safetensors").exists():
        return "while whitening"
    return "while embedding" if (out / ".raw").exists() else "before the first part"


def main() -> int:
    """Kill, rerun, compare; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        write_noise_corpus(work / "corpus", 256)
        save(untrained(model_of_size("tiny", width=64, depth=2, heads=2)), work / "run", {})
        begin = time.perf_counter()
        if start(work, "whole").wait():
            return 1
        seconds = time.perf_counter() - begin
        whole, models = files(work / "whole"), files(work / "run-whole")
        stages: Counter[str] = Counter()
        different = 0
        for number in range(options.kills):
            name = f"cut-{number}"
            process = start(work, name)
            # The first half of a run imports; there is little to break before.
            time.sleep(float(np.random.default_rng([options.seed, number]).uniform(0.5, 1.0)) * seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            stages[stage_of(work / name)] += 1
            if start(work, name).wait():
                return 1
            different += files(work / name) != whole or files(work / f"run-{name}") != models
    print(
        f"{options.kills} kills of a run of {seconds:.1f} s, {len(whole)} files; "
        f"reruns that differ: {different}"
    )
    print("\n| killed | times |\n|---|---|")
    for stage, times in sorted(stages.items()):
        print(f"| {stage} | {times} |")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
