"""The page in a real browser: what a person does with it, what it asks for, and whether everybody can use it."""

from __future__ import annotations

import contextlib
import io
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
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"),
]
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


def find(page, label: str, text: str) -> None:
    """Type into a field that finds, and take the first of what it shows."""
    field = page.get_by_role("combobox", name=label)
    field.fill(text)
    page.locator(f"#{field.get_attribute('aria-controls')} [role=option]").first.wait_for()
    field.press("Enter")


def wait_for_sound(page) -> None:
    page.wait_for_selector("#player:not([hidden])")
    before = -1.0
    for _ in range(100):
        now = page.evaluate("document.getElementById('audio').currentTime")
        if 0 <= before < now:
            return
        before = now
        page.wait_for_timeout(100)
    raise AssertionError(f"the sound stands still at {before} s")


def test_typing_finds_a_song_which_plays_and_shows_its_true_neighbours(open_page, address):
    page = open_page()
    find(page, "Find", "song 12")
    page.locator(".near-line").first.wait_for(state="attached")
    expected = httpx.get(f"{address}/api/similar", params={"like": "t12", "k": 10}, timeout=60).json()[
        "songs"
    ]
    listed = page.locator("#map-side ol.songs").last.locator("[data-track]")
    shown = listed.evaluate_all("nodes => nodes.map((node) => node.dataset.track)")
    assert shown == [song["track_id"] for song in expected]
    assert page.locator(".near-line").count() == 10
    wait_for_sound(page)
    page.wait_for_selector("#mel:not([hidden])")
    assert page.locator("#mel").evaluate("image => image.decode().then(() => image.naturalWidth)") > 50


def test_the_map_can_be_used_with_keys_alone_and_by_click(open_page):
    page = open_page()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    ring = page.locator(".aim-ring")
    x, y = (float(ring.get_attribute(name)) for name in ("cx", "cy"))
    told = page.locator("#told").text_content()
    page.keyboard.press("Enter")
    page.wait_for_selector("#map-side ol.songs")
    chosen = page.locator("#map-side .what").first.text_content()
    assert told.split(",")[0] in chosen
    page.get_by_role("button", name="Stop and close").click()
    box = page.locator("#chart").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    wait_for_sound(page)
    assert page.locator("#playing-title").text_content() in chosen


def test_a_lasso_picks_songs_for_a_playlist(open_page):
    page = open_page()
    page.get_by_role("button", name="Lasso").click()
    box = page.locator("#chart").bounding_box()
    corners = [(0.02, 0.02), (0.9, 0.02), (0.9, 0.98), (0.02, 0.98), (0.02, 0.05)]
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=6)
    page.mouse.up()
    page.get_by_role("heading", name="songs picked").wait_for()
    count = int(page.locator("#map-side h3").text_content().split()[0])
    assert 0.8 * TRACKS <= count <= TRACKS
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as M3U8").click()
    lines = Path(waiting.value.path()).read_text("utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert sum(line.endswith(".wav") for line in lines) == count


def test_colours_of_a_column_and_one_value_alone(open_page):
    page = open_page()
    page.get_by_label("Colour by").select_option("genre")
    page.get_by_role("button", name="Jazz").wait_for()
    before = page.locator("#chart canvas").screenshot()
    page.get_by_role("button", name="Jazz").click()
    page.wait_for_timeout(300)
    after = page.locator("#chart canvas").screenshot()
    painted = []
    for shot in (before, after):
        values = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
        painted.append(int((np.ptp(values, axis=2) > 60).sum()))
    assert painted[0] > 2.5 * painted[1] > 0


def test_examples_and_counter_examples_give_the_list_of_the_service_saved_as_a_table(open_page, address):
    page = open_page("like")
    page.get_by_text("Nothing to start from yet").wait_for()
    find(page, "Add a song you like", "song 3")
    find(page, "Add a song to stay away from", "song 4")
    page.locator("#view-like").get_by_role("heading", name="Songs like these").wait_for()
    liked = page.locator("#view-like .chips").first.text_content()
    assert "Söng 3" in liked
    page.wait_for_timeout(800)
    asked = {"like": ["t3"], "unlike": ["t4"], "k": 12}
    expected = httpx.post(f"{address}/api/similar", json=asked, timeout=60).json()["songs"]
    rows = page.locator("#view-like ol.songs [data-track]")
    assert rows.evaluate_all("all => all.map((node) => node.dataset.track)") == [
        s["track_id"] for s in expected
    ]
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as CSV").click()
    saved = Path(waiting.value.path()).read_text("utf-8")
    assert len(saved.strip().splitlines()) == 13
    page.get_by_role("button", name="Why").first.click()
    page.locator(".explain").get_by_text("cosine").first.wait_for()


def test_a_path_and_a_radio_follow_from_examples(open_page):
    page = open_page("like")
    find(page, "Add a song you like", "song 3")
    page.get_by_role("button", name="Path").click()
    page.get_by_text("A path needs two songs").wait_for()
    find(page, "Add a song you like", "song 20")
    rows = page.locator("#view-like ol.songs [data-track]")
    page.locator("#view-like").get_by_role("heading", name="Path").wait_for()
    page.wait_for_timeout(800)
    ids = rows.evaluate_all("all => all.map((node) => node.dataset.track)")
    assert (ids[0], ids[-1]) == ("t3", "t20")
    page.get_by_role("button", name="Radio").click()
    page.locator("#view-like").get_by_role("heading", name="Radio").wait_for()
    page.get_by_role("button", name="Play through").click()
    wait_for_sound(page)
    page.get_by_role("button", name="Next song").click()
    wait_for_sound(page)


def test_a_title_with_markup_is_shown_as_text_and_never_runs(open_page):
    page = open_page()
    find(page, "Find", "onerror")
    page.locator(".near-line").first.wait_for(state="attached")
    assert HOSTILE in page.locator("#map-side").text_content()
    page.goto(page.url.split("#")[0] + "#like")
    find(page, "Add a song you like", "onerror")
    page.locator("#view-like .chips").get_by_text(HOSTILE).wait_for()
    assert "ran" not in page.title()
    assert page.locator("main b", has_text="bold").count() == 0


def test_what_is_masked_by_a_drag_is_rebuilt_and_can_be_heard(open_page):
    page = open_page("rebuild")
    find(page, "Song", "song 1")
    page.locator("#clip-box img").evaluate("image => image.decode()")
    box = page.locator("#clip-box").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 90, steps=5)
    page.mouse.up()
    assert re.search(r"1\.2\d–3\.7\d s", page.locator("#view-rebuild .chips").text_content())
    page.get_by_role("button", name="Rebuild", exact=True).click()
    page.get_by_text(re.compile(r"(4\d|5\d) % of the clip was masked")).wait_for()
    assert page.locator(".shot img").count() == 3
    page.get_by_role("button", name="Play the rebuilt clip").click()
    wait_for_sound(page)


def test_bands_are_masked_by_typing_too(open_page):
    page = open_page("rebuild")
    find(page, "Song", "song 1")
    page.get_by_role("button", name="Bands").click()
    page.get_by_label("from", exact=True).fill("300")
    page.get_by_label("to", exact=True).fill("3000")
    page.get_by_role("button", name="Mask", exact=True).click()
    assert "300–3000 Hz" in page.locator("#view-rebuild .chips").text_content()
    page.get_by_role("button", name="Rebuild", exact=True).click()
    page.get_by_text("of the clip was masked").wait_for()


def test_a_user_gets_the_list_of_the_service_with_reasons(open_page, address):
    page = open_page("recommend")
    user = httpx.get(f"{address}/api/users", params={"limit": 1}, timeout=60).json()["users"][0]
    find(page, "Find a user", user)
    page.get_by_role("heading", name="For this listener").wait_for()
    expected = httpx.post(f"{address}/api/recommend", json={"user": user, "k": 10}, timeout=60).json()
    rows = page.locator("#view-recommend ol.songs").first.locator("[data-track]")
    assert rows.evaluate_all("all => all.map((node) => node.dataset.track)") == [
        song["track_id"] for song in expected["songs"]
    ]
    page.get_by_role("heading", name="What most people play").wait_for()
    page.get_by_role("button", name="is recommended").first.click()
    page.get_by_text("What its score is made of").wait_for()


def test_a_run_shows_its_curve_and_its_pictures(open_page):
    page = open_page("runs")
    page.wait_for_selector("#view-runs .plot path")
    page.get_by_text("Figures").first.click()
    assert page.locator("#view-runs tbody tr").count() > 10
    image = page.locator(".film img")
    assert "step-00000099" in image.get_attribute("alt")
    page.get_by_label("Moment").press("ArrowLeft")
    assert "step-00000050" in image.get_attribute("alt")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_no_view_is_wider_than_the_window(open_page, theme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(theme=theme, width=width, height=844)
    find(page, "Find", "song 12")
    page.locator(".near-line").first.wait_for(state="attached")
    page.get_by_role("button", name="More like").first.click()
    for view in VIEWS:
        page.goto(page.url.split("#")[0] + f"#{view}")
        if view == "rebuild":
            find(page, "Song", "song 2")
            page.get_by_role("button", name="at random").click()
        if view == "recommend":
            find(page, "Find a user", "1")
            page.get_by_role("heading", name="For this listener").wait_for()
        if view == "runs":
            page.wait_for_selector("#view-runs .plot")
        page.wait_for_timeout(400)
        found = axe.run(page).response["violations"]
        told = [(view, one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
        assert told == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_cannot_be_had_is_said_in_one_line(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.route(
        "**/api/map", lambda route: route.fulfill(status=503, json={"error": "busy: too many at once."})
    )
    page.route("**/api/runs", lambda route: route.abort())
    page.goto(f"{address}/#map")
    page.get_by_text("busy: too many at once.").wait_for()
    page.goto(f"{address}/#runs")
    page.get_by_text("The service does not answer. Is audiomae serve still running?").wait_for()
    with contextlib.suppress(Exception):
        context.close()
