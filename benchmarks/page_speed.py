"""How fast the page of `audiomae serve` is: 100,000 points drawn, panned and zoomed in software; a page within seconds.

uv run python benchmarks/page_speed.py [--points 100000] [--tracks 10000] [--peer]

Chromium draws without a GPU (SwiftShader), the worst a visitor can have. `--peer` measures plotly's scattergl beside ours
(it needs plotly installed, and a page that may compile text as code, which ours may not).
"""

from __future__ import annotations

import argparse
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from audiomae.vectors.writer import TrackClips, VectorsWriter

PAGE = Path(__file__).parents[1] / "audiomae" / "serve" / "page"
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

OURS = """async ({count, flat}) => {
  const { Chart } = await import('/js/chart.js');
  const box = document.getElementById('box');
  box.replaceChildren();
  const draw = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(6.2832 * Math.random());
  const x = new Float32Array(count), y = new Float32Array(count), paints = new Uint8Array(4 * count);
  for (let index = 0; index < count; index += 1) {
    const group = index % 20;
    x[index] = Math.cos(group) * (1 + group / 9) + 0.3 * draw();
    y[index] = Math.sin(group * 1.7) * (1 + group / 9) + 0.3 * draw();
    paints.set([group * 12, 90, 250 - group * 12, 235], 4 * index);
  }
  const nothing = () => {};
  const begun = performance.now();
  const on = {choose: nothing, hover: nothing, lasso: nothing, aim: nothing, shown: () => true};
  const chart = new Chart(box, on, {flat});
  chart.dots.fit();
  chart.set(x, y);
  chart.paint(paints);
  const gl = chart.dots.gl, pixel = new Uint8Array(4);
  const settle = () => { chart.draw(true); if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); };
  settle();
  const drawn = performance.now() - begun;
  const frames = async (move) => {
    const times = [];
    for (let frame = 0; frame < 40; frame += 1) {
      const before = performance.now();
      move(frame);
      settle();
      await new Promise(requestAnimationFrame);
      times.push(performance.now() - before);
    }
    return times.sort((one, other) => one - other)[20];
  };
  const pan = await frames((frame) => chart.pan(frame % 2 ? 7 : -5, 3));
  const zoom = await frames((frame) => chart.zoom(frame < 20 ? 1.05 : 1 / 1.05));
  const asked = performance.now();
  for (let turn = 0; turn < 1000; turn += 1) chart.pick(100 + turn / 3, 200, 14);
  return {webgl: Boolean(chart.dots.gl), drawn, pan, zoom, pick: (performance.now() - asked) / 1000};
}"""

PEER = """async ({count}) => {
  const box = document.getElementById('box');
  box.replaceChildren();
  const x = Array.from({length: count}, () => Math.random()), y = Array.from({length: count}, () => Math.random());
  const begun = performance.now();
  await Plotly.newPlot(box, [{x, y, type: 'scattergl', mode: 'markers', marker: {size: 3}}], {width: 850, height: 560});
  const drawn = performance.now() - begun, times = [];
  for (let frame = 0; frame < 10; frame += 1) {
    const before = performance.now();
    await Plotly.relayout(box, {'xaxis.range': [frame / 50, 1], 'yaxis.range': [0, 1]});
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - before);
  }
  return {drawn, pan: times.sort((one, other) => one - other)[5]};
}"""


class Files(http.server.SimpleHTTPRequestHandler):
    """The page's files, and an empty page with a box."""

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, directory=str(PAGE), **settings)

    def do_GET(self) -> None:
        """Answer with a file, or the empty page."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(
            b"<!doctype html><div id=box style='position:relative;width:850px;height:560px'></div>"
            b"<style>canvas,svg{position:absolute;inset:0;width:100%;height:100%}</style>"
        )

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def measure_points(count: int, *, peer: bool) -> None:
    """Draw, pan and zoom synthetic points, by WebGL in software, pixel by pixel, and by plotly."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS + SOFTWARE)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        for flat in (False, True):
            found = page.evaluate(OURS, {"count": count, "flat": flat})
            name = "WebGL in software" if found["webgl"] else "pixel by pixel"
            print(
                f"| {name} | {count:,} | {found['drawn']:.0f} ms | {1000 / found['pan']:.0f} | {1000 / found['zoom']:.0f} "
                f"| {1000 * found['pick']:.0f} µs |"
            )
        if peer:
            from plotly.offline import get_plotlyjs

            page.add_script_tag(content=get_plotlyjs())
            found = page.evaluate(PEER, {"count": count})
            print(
                f"| plotly scattergl | {count:,} | {found['drawn']:.0f} ms | {1000 / found['pan']:.1f} | | |"
            )
        browser.close()
    server.shutdown()


def measure_command(tracks: int) -> None:
    """Time from the command to a drawn map, of a collection that has none yet."""
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "vectors"
        writer = VectorsWriter(folder, {"model_fingerprint": "m", "whiten": 0, "hop_seconds": 5.0}, 256)
        vectors = (
            draw.normal(size=(tracks, 256)) + 4 * draw.normal(size=(20, 256))[np.arange(tracks) % 20]
        ).astype(np.float32)
        writer.add_part([TrackClips(f"t{n}", np.zeros(1), vectors[n][None]) for n in range(tracks)])
        writer.finish(
            {
                f"t{n}": {"title": f"Song {n}", "genre": f"genre {n % 20}", "seconds": 60.0}
                for n in range(tracks)
            }
        )
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS + SOFTWARE)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            begun = time.perf_counter()
            command = [sys.executable, "-m", "audiomae", "serve", str(folder), "--port", "0"]
            with subprocess.Popen(
                command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
            ) as process:
                found = next(
                    match for line in process.stderr if (match := re.search(r"answers at (\S+);", line))
                )
                answers = time.perf_counter() - begun
                page.goto(found[1])
                page.wait_for_selector("#view-map h2", state="visible")
                shown = time.perf_counter() - begun
                page.wait_for_selector("#chart[data-drawn]", timeout=300_000)
                drawn = time.perf_counter() - begun
                process.terminate()
            browser.close()
    print(
        f"{tracks:,} tracks: answers after {answers:.1f} s, page shown after {shown:.1f} s, map drawn after {drawn:.1f} s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--peer", action="store_true")
    asked = parser.parse_args()
    print(
        "| drawn by | points | first picture | pan, frames/s | zoom, frames/s | finding the point under the pointer |"
    )
    print("|---|---|---|---|---|---|")
    measure_points(asked.points, peer=asked.peer)
    measure_command(asked.tracks)


if __name__ == "__main__":
    main()
