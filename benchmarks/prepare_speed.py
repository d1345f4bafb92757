"""`prepare` beside the bare loop of decode + resample + log-mel over the same files, a loop a core.

    python benchmarks/prepare_speed.py SONGS [--workers 2] [--rounds 3] [--hours 2]

Both sides use the same functions, so the table shows what measuring, hashing, tags, pipes, shards, tables
and starting processes cost. `per core` is seconds of audio over seconds of wall clock and core; the loops'
import of torch is not counted, the start of prepare's processes is. Rounds alternate and the best of each
side stands, as neighbours on the machine only ever slow things down; the share of the CPU seconds does not
see them. Then a long file is prepared alone, and the peak memory of the command, of its largest process,
and of all processes together is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

BARE = """
import json, sys, time
import torch
from audiomae.audio.decode import decode_blocks
from audiomae.audio.mel import MelSettings, log_mel_blocks
torch.set_num_threads(1)
mel, frames = MelSettings(), 0
print("ready", flush=True)
paths = json.loads(sys.stdin.readline())
wall, cpu = time.perf_counter(), time.process_time()
for path in paths:
    for block in log_mel_blocks(decode_blocks(path, mel.sample_rate), mel):
        frames += len(block.astype("float16"))
print(json.dumps([frames / 100, time.perf_counter() - wall, time.process_time() - cpu]))
"""

PREPARE = """
import json, sys, time
from pathlib import Path
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.song import Song
if __name__ == "__main__":
    paths, out, workers = json.loads(sys.stdin.readline())
    wall, cpu = time.perf_counter(), time.process_time()
    summary = prepare_corpus([Song(Path(path)) for path in paths], out, workers=workers)
    print(json.dumps([summary.decoded_seconds, time.perf_counter() - wall, time.process_time() - cpu]))
"""


def run_bare(paths: list[str], workers: int) -> tuple[float, float]:
    """Return seconds of audio a second and core: by the wall clock, and by the CPU clock."""
    command = [sys.executable, "-c", BARE]
    loops = [
        subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    for loop in loops:
        assert loop.stdout is not None
        loop.stdout.readline()
    # Longest first, each to the loop with the least, so that the loops end together.
    shares: list[list[str]] = [[] for _ in loops]
    for path in sorted(paths, key=lambda path: -Path(path).stat().st_size):
        min(shares, key=lambda share: sum(Path(one).stat().st_size for one in share)).append(path)
    for loop, share in zip(loops, shares, strict=True):
        assert loop.stdin is not None
        loop.stdin.write(json.dumps(share) + "\n")
        loop.stdin.flush()
    results = [json.loads(loop.communicate()[0]) for loop in loops]
    audio = sum(result[0] for result in results)
    return audio / sum(result[1] for result in results), audio / sum(result[2] for result in results)


def run_prepare(paths: list[str], workers: int, out: Path) -> tuple[float, float]:
    """Return the same for `prepare_corpus`."""
    script = out.with_suffix(".py")
    script.write_text(PREPARE)
    command = [sys.executable, str(script)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps([paths, str(out), workers]) + "\n")
    process.stdin.flush()
    used: dict[int, float] = {}
    while (
        process.poll() is None
    ):  # the workers are no children of the command: their time is read as they run
        used |= {one: cpu_of(one) or used.get(one, 0.0) for one in family_of(process.pid)[1:]}
        time.sleep(0.05)
    audio, wall, cpu = json.loads(process.communicate()[0])
    return audio / wall / workers, audio / (cpu + sum(used.values()))


def cpu_of(process: int) -> float:
    """Return the CPU seconds of a process, 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(process: int, field: str) -> int:
    """Return a line of /proc/PID/status or smaps_rollup, in KiB; 0 if the process is gone."""
    name = "smaps_rollup" if field == "Pss" else "status"
    try:
        lines = Path(f"/proc/{process}/{name}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def family_of(process: int) -> list[int]:
    """Return a process and all below it."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        children = []
    return [process, *(one for child in children for one in family_of(child))]


def run_long(hours: float, folder: Path) -> tuple[int, int, float]:
    """Prepare one long file; return peak KiB of the largest process and of all together, and × real time."""
    path = folder / "long.flac"
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", 44_100, 2, format="FLAC") as file:
        minute = generator.normal(0, 0.1, (44_100 * 60, 2))
        for number in range(round(hours * 60)):
            file.write(np.roll(minute, number * 1_000, axis=0))
    command = [sys.executable, "-m", "audiomae", "prepare", str(path), "--out", str(folder / "long")]
    begin = time.perf_counter()
    process = subprocess.Popen([*command, "--workers", "1"], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    largest = together = 0
    while process.poll() is None:
        family = family_of(process.pid)
        largest = max([largest, *(memory_of(one, "VmHWM") for one in family)])
        together = max(together, sum(memory_of(one, "Pss") for one in family))
        time.sleep(0.05)
    assert process.returncode == 0
    return largest, together, hours * 3600 / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=Path, help="folder of songs")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    parser.add_argument("--hours", type=float, default=2.0, help="length of the long file")
    options = parser.parse_args()
    suffixes = (".ogg", ".flac", ".mp3", ".wav", ".opus")
    paths = sorted(
        str(path) for path in options.songs.rglob("*") if path.suffix in suffixes and path.is_file()
    )
    bare, prepared = [], []
    with tempfile.TemporaryDirectory() as place:
        for number in range(options.rounds):
            bare.append(run_bare(paths, options.workers))
            prepared.append(run_prepare(paths, options.workers, Path(place) / f"corpus{number}"))
        largest, together, speed = run_long(options.hours, Path(place))
    print(f"{len(paths)} files, {options.workers} processes, best of {options.rounds}\n")
    print("| | × real time a core, wall | × real time a CPU second |\n|---|---|---|")
    best = {}
    for name, rounds in (("bare loop", bare), ("prepare", prepared)):
        best[name] = [max(column) for column in zip(*rounds, strict=True)]
        print(f"| {name} | {best[name][0]:.0f} | {best[name][1]:.0f} |")
    share = [100 * one / other for one, other in zip(best["prepare"], best["bare loop"], strict=True)]
    print(f"| prepare / bare loop | {share[0]:.0f} % | {share[1]:.0f} % |")
    print(f"\n| a file of {options.hours:g} h (FLAC, stereo, 44.1 kHz) | |\n|---|---|")
    print(f"| peak of the largest process | {largest / 1024:.0f} MiB |")
    print(f"| peak of all processes together (Pss) | {together / 1024:.0f} MiB |")
    print(f"| speed, all included | {speed:.0f}× real time |")


if __name__ == "__main__":
    main()
