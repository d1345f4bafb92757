"""The page in a real browser: lists, paths, masks, users, runs; and whether everybody can use it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.processes
HOSTILE = "<img src=x onerror=document.title='ran'><b>bold</b>"
VIEWS = ("map", "like", "rebuild", "recommend", "runs")


def test_examples_and_counter_examples_give_the_list_of_the_service_saved_as_a_table(
    open_page, address, find, wait_for_songs
):
    page = open_page("like")
    page.get_by_text("Nothing to start from yet").wait_for()
    find(page, "Add a song you like", "song 3")
    find(page, "Add a song to stay away from", "song 4")
    page.locator("#view-like").get_by_role("heading", name="Songs like these").wait_for()
    liked = page.locator("#view-like .chips").first.text_content()
    assert "Söng 3" in liked
    asked = {"like": ["t3"], "unlike": ["t4"], "k": 12}
    expected = httpx.post(f"{address}/api/similar", json=asked, timeout=60).json()["songs"]
    wait_for_songs(page, "#view-like ol.songs", [song["track_id"] for song in expected])
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as CSV").click()
    saved = Path(waiting.value.path()).read_text("utf-8")
    assert len(saved.strip().splitlines()) == 13
    page.get_by_role("button", name="Why").first.click()
    page.locator(".explain").get_by_text("cosine").first.wait_for()


def test_a_path_and_a_radio_follow_from_examples(open_page, find, wait_for_sound):
    page = open_page("like")
    find(page, "Add a song you like", "song 3")
    page.get_by_role("button", name="Path").click()
    page.get_by_text("A path needs two songs").wait_for()
    find(page, "Add a song you like", "song 20")
    page.locator("#view-like").get_by_role("heading", name="Path").wait_for()
    page.wait_for_selector("#view-like ol.songs li:first-child [data-track=t3]")
    page.wait_for_selector("#view-like ol.songs li:last-child [data-track=t20]")
    page.get_by_role("button", name="Radio").click()
    page.locator("#view-like").get_by_role("heading", name="Radio").wait_for()
    page.get_by_role("button", name="Play through").click()
    wait_for_sound(page)
    page.get_by_role("button", name="Next song").click()
    wait_for_sound(page)


def test_a_title_with_markup_is_shown_as_text_and_never_runs(open_page, find):
    page = open_page()
    find(page, "Find", "onerror")
    page.locator(".near-line").first.wait_for(state="attached")
    assert HOSTILE in page.locator("#map-side").text_content()
    page.goto(page.url.split("#")[0] + "#like")
    find(page, "Add a song you like", "onerror")
    page.locator("#view-like .chips").get_by_text(HOSTILE).wait_for()
    assert "ran" not in page.title()
    assert page.locator("main b", has_text="bold").count() == 0


def test_what_is_masked_by_a_drag_is_rebuilt_and_can_be_heard(open_page, find, wait_for_sound):
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


def test_bands_are_masked_by_typing_too(open_page, find):
    page = open_page("rebuild")
    find(page, "Song", "song 1")
    page.get_by_role("button", name="Bands").click()
    page.get_by_label("from", exact=True).fill("300")
    page.get_by_label("to", exact=True).fill("3000")
    page.get_by_role("button", name="Mask", exact=True).click()
    assert "300–3000 Hz" in page.locator("#view-rebuild .chips").text_content()
    page.get_by_role("button", name="Rebuild", exact=True).click()
    page.get_by_text("of the clip was masked").wait_for()


def test_a_user_gets_the_list_of_the_service_with_reasons(open_page, address, find, wait_for_songs):
    page = open_page("recommend")
    user = httpx.get(f"{address}/api/users", params={"limit": 1}, timeout=60).json()["users"][0]
    find(page, "Find a user", user)
    page.get_by_role("heading", name="For this listener").wait_for()
    expected = httpx.post(f"{address}/api/recommend", json={"user": user, "k": 10}, timeout=60).json()
    wait_for_songs(page, "#view-recommend ol.songs", [song["track_id"] for song in expected["songs"]])
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
def test_axe_finds_nothing_and_no_view_is_wider_than_the_window(open_page, theme, width, find):
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
