"""A service under load: latencies of similar songs and lists at 100,000 tracks, its memory, and the time to its page.

    uv run python benchmarks/serve_speed.py [--tracks 100000] [--clients 16] [--seconds 20] [--workers 2] [--rate R]

Songs are synthetic and seeded. Clients ask one after another without a pause, each over a connection of its own, or
`--rate` requests a second in all, spread evenly. They run on the same cores as the service, in a process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import runpy
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import httptools
import numpy as np

from audiomae.vectors.writer import TrackClips, VectorsWriter

DIM, STYLES = 320, 200
RECOMMENDER = Path(__file__).parents[1] / "tests" / "recommend" / "conftest.py"


def write_vectors(folder: Path, tracks: int) -> None:
    """Write vectors of songs in two hundred styles, a clip each."""
    draw = np.random.default_rng(0)
    styles = draw.normal(size=(STYLES, DIM)).astype(np.float32)
    writer = VectorsWriter(folder, {"model_fingerprint": "m", "whiten": 0, "hop_seconds": 5.0}, DIM)
    rows: dict[str, Any] = {}
    for first in range(0, tracks, 10_000):
        part = []
        for number in range(first, min(first + 10_000, tracks)):
            vector = styles[number % STYLES] + draw.normal(size=(1, DIM)).astype(np.float32)
            part.append(TrackClips(f"t{number:06d}", np.zeros(1), vector))
            rows[f"t{number:06d}"] = {
                "title": f"Song {number}",
                "artist": f"Artist {number % 9_000}",
                "album": f"Album {number % 12_000}",
                "genre": f"Style {number % STYLES}",
                "path": f"music/{number % 9_000}/{number}.flac",
                "seconds": 180.0 + number % 120,
            }
        writer.add_part(part)
    writer.finish(rows)


class Client(asyncio.Protocol):
    """One connection that is kept: sends a request, and waits for the whole answer."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self.answered is not None
        self.answered.set_result(self.parser.get_status_code())
        self.parser = httptools.HttpResponseParser(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(0)

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status; 0 where the connection broke."""
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # type: ignore[attr-defined]
        return await self.answered


def request_of(path: str, body: Any) -> bytes:
    """Return a POST as bytes."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {len(content)}", "", ""]).encode() + content


async def load(
    port: int, kind: str, tracks: int, clients: int, seconds: float, rate: float
) -> dict[str, Any]:
    """Ask for so many seconds and return how long answers took."""
    loop, times, failed = asyncio.get_running_loop(), list[float](), 0
    began = time.perf_counter()

    async def one(number: int) -> None:
        nonlocal failed
        _, client = await loop.create_connection(Client, "127.0.0.1", port)
        draw = np.random.default_rng([1, number])
        pause = clients / rate if rate else 0.0
        at = began + pause * number / clients
        while time.perf_counter() < began + seconds:
            if pause:
                await asyncio.sleep(max(0.0, at - time.perf_counter()))
                at += pause
            like = f"t{draw.integers(tracks):06d}"
            body = (
                {"like": [like], "k": 10, "per_artist": 2}
                if kind == "similar"
                else {"user": f"u{draw.integers(30):02d}"}
            )
            sent = time.perf_counter()
            status = await client.ask(request_of(f"/api/{kind}", body))
            if sent > began + 1:  # the first second warms up
                times.append(1000 * (time.perf_counter() - sent))
            failed += status != 200

    await asyncio.gather(*(one(number) for number in range(clients)))
    p50, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
    return {
        "answers": len(times),
        "a_second": len(times) / (seconds - 1),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "failed": failed,
    }


def load_here(pipe: Any, *arguments: Any) -> None:
    """Run `load` in a process of its own."""
    pipe.send(asyncio.run(load(*arguments)))


def measure(*arguments: Any) -> dict[str, Any]:
    """Run `load` beside this process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=load_here, args=(theirs, *arguments))
    process.start()
    found: dict[str, Any] = ours.recv()
    process.join()
    return found


def memory_of(process: int) -> float:
    """Return the private memory of a process and its children, in MB."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    found = 0.0
    for name in [str(process), *children]:
        text = Path(f"/proc/{name}/smaps_rollup").read_text()
        found += sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+) kB", text)) / 1000
    return found


def wait_for(url: str, seconds: float = 180) -> None:
    """Ask until an address answers 200."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                answer.read()
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--port", type=int, default=8999)
    parser.add_argument("--keep", type=Path, help="folder for the synthetic collection, used again")
    parser.add_argument(
        "--recommender", action="store_true", help="lists too, of an untrained recommender of that size"
    )
    wanted = parser.parse_args()
    place = wanted.keep or Path(tempfile.mkdtemp(prefix="serve-speed-"))
    vectors, rec = place / f"vectors-{wanted.tracks}", place / f"rec-{wanted.tracks}"
    if not (vectors / "vectors.json").exists():
        write_vectors(vectors, wanted.tracks)
    command = [sys.executable, "-m", "audiomae", "serve", str(vectors), "--port", str(wanted.port)]
    command += ["--workers", str(wanted.workers), "--access_log", "false"]
    kinds = ["similar"]
    if wanted.recommender:
        if not rec.exists():
            runpy.run_path(str(RECOMMENDER))["write_recommender"](rec, wanted.tracks)
        command += ["--recommender", str(rec)]
        kinds.append("recommend")
    began = time.perf_counter()
    service = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{wanted.port}"
    try:
        wait_for(f"{address}/")
        print(f"page after {time.perf_counter() - began:.2f} s")
        wait_for(f"{address}/api/tracks?limit=20")
        print(f"first songs after {time.perf_counter() - began:.2f} s")
        wait_for(f"{address}/ready")
        wait_for(f"{address}/api/similar?like=t000000&k=10")
        print(f"similar songs after {time.perf_counter() - began:.2f} s; cores: {os.cpu_count()}")
        for kind in kinds:
            measure(wanted.port, kind, wanted.tracks, wanted.clients, 3.0, wanted.rate)
            before = memory_of(service.pid)
            found = measure(wanted.port, kind, wanted.tracks, wanted.clients, wanted.seconds, wanted.rate)
            figures = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
            print(f"{kind}: {figures} (ms); memory {before:.0f} → {memory_of(service.pid):.0f} MB")
    finally:
        service.terminate()
        service.wait(30)


if __name__ == "__main__":
    main()
