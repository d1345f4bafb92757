"""How soon a song that is dropped into a watched folder is found, and how many songs an hour a first run takes.

    python benchmarks/watch_speed.py --songs FOLDER        # real songs; without, noise and tones of 4 minutes

(1) A folder of 50 songs is served by `audiomae serve --watch`; then an MP3 of 4 minutes is written into it, and the
service is asked for it, by a search and by what is similar to it, until both answer. (2) Songs an hour of a first run
of `audiomae watch --once` over so many songs, without the start of the process, extrapolated to 22,000 songs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import soundfile

from audiomae.audio.container import ENDINGS
from audiomae.vectors.vectors import Vectors

SAMPLE_RATE = 44_100
MINUTES = 4
LARGE = 22_000
LONGEST_SECONDS = 600


def write_mp3(path: Path, seed: int, minutes: float = MINUTES) -> None:
    """Write a song of a few tones that come and go, with noise; it appears under its name as it grows."""
    draw = np.random.default_rng(seed)
    times = np.arange(round(60 * minutes * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.02 * draw.normal(size=len(times))
    for _ in range(6):
        pitch, beat = draw.uniform(80, 2000), draw.uniform(0.2, 3)
        sound += 0.1 * np.sin(2 * np.pi * pitch * times) * (1 + np.sin(2 * np.pi * beat * times))
    soundfile.write(path, np.clip(sound, -1, 1), SAMPLE_RATE, format="MP3")


def collect(source: str, folder: Path, count: int) -> list[Path]:
    """Copy real songs into a folder, or make some; return them."""
    folder.mkdir(parents=True)
    if source:
        found = sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in ENDINGS)[:count]
        for number, path in enumerate(found):
            shutil.copyfile(path, folder / f"{number:03d}-{path.name}")
    else:
        for number in range(count):
            write_mp3(folder / f"{number:03d}.mp3", number)
    return sorted(folder.iterdir())


def start_service(songs: Path, out: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a service that watches; return it and its address."""
    words = [str(out), "--songs", str(songs), "--model", "tiny", "--watch", "--port", "0"]
    service = subprocess.Popen(
        [sys.executable, "-m", "audiomae", "serve", *words, "--access_log", "false"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert service.stderr is not None
    for line in service.stderr:
        print(line, end="", file=sys.stderr)
        if found := re.search(r"answers at (\S+)/;", line):
            os.set_blocking(service.stderr.fileno(), False)
            return service, found[1]
    raise SystemExit("the service did not start")


def wait_for(what, seconds: float = LONGEST_SECONDS) -> float:
    """Wait until something is so; return how long that took."""
    start = time.perf_counter()
    while not what():
        if time.perf_counter() - start > seconds:
            raise SystemExit(f"not within {seconds} s")
        time.sleep(0.05)
    return time.perf_counter() - start


def is_found(url: str, name: str) -> bool:
    """Return whether a song is found by a search, and others are found by it."""
    found = httpx.get(f"{url}/api/tracks", params={"query": name}, timeout=60).json()["tracks"]
    if not found:
        return False
    like = {"like": found[0]["track_id"], "k": 5}
    return httpx.get(f"{url}/api/similar", params=like, timeout=60).status_code == 200


def measure_drop(songs: Path, out: Path, place: Path) -> list[float]:
    """Return the seconds from dropping a song until it is found, three times."""
    service, url = start_service(songs, out)
    try:
        time.sleep(30)  # the service opens its model, the watcher its own, and both then rest
        took = []
        for number in itertools.count(1000):
            if len(took) == 3:
                return took
            time.sleep(5)
            write_mp3(place / "new.mp3", number)
            shutil.copyfile(place / "new.mp3", songs / f"dropped-{number}.mp3")
            took.append(wait_for(lambda name=f"dropped-{number}": is_found(url, name)))
        return took
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)


def measure_first_run(songs: Path, out: Path) -> tuple[float, float]:
    """Return songs and audio hours an hour of a first run, by the time between two batches that it stored."""
    start = time.perf_counter()
    words = [str(songs), "--out", str(out), "--once"]
    service = subprocess.Popen([sys.executable, "-m", "audiomae", "watch", *words])
    wait_for(lambda: (out / "vectors.json").exists())  # the model is open, the work begins
    begun = time.perf_counter()
    if service.wait() != 0:
        raise SystemExit("watch failed")
    seconds = time.perf_counter() - begun
    vectors = Vectors.open(out)
    print(f"start {begun - start:.1f} s, work {seconds:.1f} s, {vectors.meta['generation']} batches")
    audio = sum(vectors.tracks["seconds"].to_pylist())
    return 3600 * len(vectors.track_ids) / seconds, audio / seconds


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--songs", default="", help="folder of real songs")
    parser.add_argument("--count", type=int, default=50, help="songs in the folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watch-speed-") as name:
        place = Path(name)
        count = len(collect(asked.songs, place / "songs", asked.count))
        an_hour, real_time = measure_first_run(place / "songs", place / "first")
        took = measure_drop(place / "songs", place / "first", place)
    hours = LARGE * 60 * MINUTES / real_time / 3600
    print(f"| first run, {count} songs | {an_hour:,.0f} songs an hour, {real_time:,.0f} × real time |")
    print(f"| {LARGE:,} songs of {MINUTES} minutes, by that | {hours:.1f} h |")
    print(
        f"| dropped MP3 of {MINUTES} minutes is found after | {', '.join(f'{one:.1f}' for one in took)} s |"
    )


if __name__ == "__main__":
    main()
