"""A service of all five views with a real browser before it, and what a person does everywhere on the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

import audiomae
from audiomae.atlas.stored import open_map
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
HOSTILE = "<img src=x onerror=document.title='ran'><b>bold</b>"
TRACKS = 60
VIEWS = ("map", "like", "rebuild", "recommend", "runs")


def write_vectors(folder: Path, songs: Path, model_folder: Path) -> None:
    """Write sixty tracks of three styles; each names one of four real files, one has markup for a title."""
    model, draw = audiomae.load(model_folder), np.random.default_rng(0)
    about = {"model_fingerprint": model.fingerprint, "layer": model.layer, "pool": model.pool, "whiten": 0}
    writer = VectorsWriter(folder, {**about, "hop_seconds": 5.0, "clip_seconds": 4.96}, model.dim)
    middles = 4 * draw.normal(size=(3, model.dim))
    writer.add_part(
        [
            TrackClips(
                f"t{n}", np.zeros(1), (middles[n % 3] + draw.normal(size=(1, model.dim))).astype(np.float32)
            )
            for n in range(TRACKS)
        ]
    )
    writer.finish(
        {
            f"t{n}": {
                "title": HOSTILE if n == 7 else f"Söng {n}",
                "artist": f"Artist {n % 7}",
                "album": f"Album {n % 5}",
                "genre": ("Rock", "Jazz", "Folk")[n % 3],
                "path": str(songs / f"{n % 4}.wav"),
                "seconds": 6.0,
            }
            for n in range(TRACKS)
        }
    )


def write_run(folder: Path) -> Path:
    """Write a run as training leaves it: a curve, held-out figures, two pictures."""
    (folder / "pictures").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"settings": {}}))
    lines = [{"step": step, "loss": 4 - step / 50} for step in range(1, 100)]
    lines += [{"step": step, "held_out_loss": 3.5 - step / 60} for step in (50, 99)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for step in (50, 99):
        Image.new("RGB", (64, 32), (step, 0, 90)).save(folder / "pictures" / f"step-{step:08d}.png")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory, songs, tiny_model, recommender) -> Iterator[str]:
    """Where a service of all five views answers."""
    folder = tmp_path_factory.mktemp("page")
    write_vectors(folder / "vectors", songs, tiny_model)
    with pytest.MonkeyPatch.context() as patch:  # numba would take a minute to load; the axes do for a map
        patch.setattr("audiomae.atlas.stored.place_all", lambda reduced, **_: reduced[:, :2])
        open_map(Vectors.open(folder / "vectors"), method="umap")
    run = write_run(folder / "run")
    words = [str(folder / "vectors"), "--model", str(tiny_model), "--recommender", str(recommender)]
    command = [sys.executable, "-m", "audiomae", "serve", *words, "--runs", str(run), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"answers at (http://[^/]+)", line):
                break
        else:
            raise AssertionError(said)
        assert httpx.get(f"{found[1]}/api/about", timeout=120).json()["model"]
        httpx.post(f"{found[1]}/api/recommend", json={"liked": ["t1"], "k": 1}, timeout=120)
        yield found[1]
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium without a window, with a profile that nobody has used."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, address):
    """What opens the page; at the end nothing must have failed, and nobody else been asked."""
    opened = []

    def made(view: str = "map", *, theme: str = "light", width: int = 1280, height: int = 900):
        context = browser.new_context(
            color_scheme=theme, viewport={"width": width, "height": height}, accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        noted = SimpleNamespace(errors=[], asked=[])
        page.on("console", lambda said: noted.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: noted.errors.append(str(error)))
        page.on("request", lambda request: noted.asked.append(request.url))
        opened.append((context, noted))
        page.goto(f"{address}/#{view}")
        if view == "map":
            page.wait_for_selector("#chart[data-drawn]")
        return page

    yield made
    for context, noted in opened:
        context.close()
        assert noted.errors == []
        strangers = [url for url in noted.asked if not url.startswith((address, "data:", f"blob:{address}"))]
        assert strangers == []
        assert noted.asked


@pytest.fixture
def find():
    """What types into a field that finds, and takes the first of what it shows."""

    def typed(page, label: str, text: str) -> None:
        field = page.get_by_role("combobox", name=label)
        field.fill(text)
        page.locator(f"#{field.get_attribute('aria-controls')} [role=option]").first.wait_for()
        field.press("Enter")

    return typed


SHOWN = """([list, ids]) => {
    const shown = [...document.querySelector(list).querySelectorAll("[data-track]")];
    return JSON.stringify(shown.map((one) => one.dataset.track)) === JSON.stringify(ids);
}"""


@pytest.fixture
def wait_for_songs():
    """What waits until a list shows these songs in this order."""

    def shown(page, songs: str, ids: list[str]) -> None:
        page.wait_for_function(SHOWN, arg=[songs, ids])

    return shown


@pytest.fixture
def wait_for_sound():
    """What waits until the sound moves on."""

    def heard(page) -> None:
        page.wait_for_selector("#player:not([hidden])")
        before = -1.0
        for _ in range(100):
            now = page.evaluate("document.getElementById('audio').currentTime")
            if 0 <= before < now:
                return
            before = now
            page.wait_for_timeout(100)
        raise AssertionError(f"the sound stands still at {before} s")

    return heard
