"""Kill `audiomae prepare` with -9 at random moments, rerun, and compare all bytes with an unbroken run.

    python benchmarks/crash_prepare.py [--kills 20] [--songs FOLDER] [--seed 0]

Without FOLDER it prepares 90 noises of 10 s. Ends with 1 if one byte differs.
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
import soundfile
from crashes import ROOT, files, print_stages


def write_songs(folder: Path, count: int) -> None:
    """Write noises, some of them twice, some too short."""
    folder.mkdir(parents=True)
    for number in range(count):
        seconds = 2 if number % 17 == 5 else 10
        samples = np.random.default_rng(number % (count - 6)).normal(0, 0.1, seconds * 22_050)
        soundfile.write(folder / f"{number:03}.flac", samples, 22_050)


def start(songs: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "audiomae", "prepare", str(songs), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        [*command, "--shard_megabytes", "0.5"], env=environment, stdout=nowhere, stderr=nowhere
    )


def stage_of(out: Path) -> str:
    """Say how far a killed run had come."""
    if (out / "corpus.json").exists():
        return "after the commit"
    if (out / ".commit").exists():
        return "within the commit"
    shards = len(list((out / ".journal").glob("shard-*.json")))
    return f"{shards} shards finished" if shards else "before the first shard"


def main() -> int:
    """Kill, rerun, compare; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed")
    parser.add_argument("--songs", type=Path, help="folder of songs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        songs = options.songs
        if songs is None:
            songs = work / "songs"
            write_songs(songs, 90)
        begin = time.perf_counter()
        if start(songs, work / "whole").wait():
            return 1
        seconds = time.perf_counter() - begin
        whole = files(work / "whole")
        shards = sum(name.startswith("mels/") for name in whole)
        stages: Counter[str] = Counter()
        different = 0
        for number in range(options.kills):
            out = work / f"cut-{number}"
            process = start(songs, out)
            # By progress, not by the clock alone: most of a short run is imports, where there is nothing to break.
            generator = np.random.default_rng([options.seed, number])
            reached = int(generator.integers(shards + 1))
            while len(list((out / ".journal").glob("shard-*.json"))) < reached and process.poll() is None:
                time.sleep(0.002)
            time.sleep(float(generator.uniform(0, 1)) * (seconds / 2 if reached == 0 else 0.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
            stages[stage_of(out)] += 1
            if start(songs, out).wait():
                return 1
            different += files(out) != whole
    print(f"{options.kills} kills of a run of {seconds:.1f} s: reruns that differ: {different}")
    print_stages(stages)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
