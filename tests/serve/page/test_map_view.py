"""The map in a real browser: found by typing, keys, clicks and a lasso."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.processes
TRACKS = 60


def test_typing_finds_a_song_which_plays_and_shows_its_true_neighbours(
    open_page, address, find, wait_for_sound
):
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


def test_the_map_can_be_used_with_keys_alone_and_by_click(open_page, wait_for_sound):
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
    assert painted[0] > 2 * painted[1] > 0
