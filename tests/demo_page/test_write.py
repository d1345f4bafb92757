"""The demo's page: whole in itself, and no title can run."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from audiomae.demo_page.contents import (
    Command,
    Figure,
    ListedSong,
    PageContents,
    PageList,
    PageRebuilt,
    PageSong,
    ScoreCard,
)
from audiomae.demo_page.sounds import encode_mp3
from audiomae.demo_page.write import page_html, write_page

EVIL = '</script><script>alert("1")</script><img src=x onerror=alert(2)> & "quoted" \u2028'


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A sound and a picture, in the folder that the test works in."""
    monkeypatch.chdir(tmp_path)
    Path("clip.mp3").write_bytes(encode_mp3(np.zeros(1600, np.float32), 16_000))
    Path("shot.png").write_bytes(b"png")


pytestmark = pytest.mark.usefixtures("files")


def contents(title: str = "Song") -> PageContents:
    sound = "clip.mp3"
    songs = tuple(
        PageSong(f"{title} {i}", title, "", title, 61.0, i / 3, 0.5, ((1 - i % 2, 0.5),), sound, 30.0)
        for i in range(4)
    )
    card = ScoreCard(
        "same song", title, "Asked of 4.", title, (Figure(title, 0.5, 0.25, 0.75, True),), 0.1, title, "worse"
    )
    return PageContents(
        title,
        (title,),
        songs,
        0,
        PageRebuilt(1, 10.0, 5.0, 0.7, ("shot.png",) * 3, (sound,) * 3),
        PageList("u", title, ((0, 3),), (ListedSong(1, ((0, 0.5),), (("sound", 1.0, 1.0),)),)),
        (card, ScoreCard("genre", title, title)),
        (Command(f"audiomae similar {title}", title),),
        ((title, title),),
    )


def test_a_title_with_markup_is_shown_and_never_run():
    page = Page(page_html(contents(EVIL)))
    assert [tag for tag, _ in page.tags].count("script") == 2  # the data and the page's own
    assert not any(name.startswith("on") for _, names in page.tags for name in names)
    assert [names["src"] for tag, names in page.tags if tag == "img"] == ["data:image/png;base64,cG5n"] * 3
    assert json.loads(page.scripts[0])["songs"][2]["title"] == f"{EVIL} 2"


def test_the_page_asks_nobody_for_anything():
    text = page_html(contents())
    page = Page(text)
    addresses = [
        value for _, names in page.tags for name, value in names.items() if name in ("src", "href", "action")
    ]
    assert {address[0] for address in addresses if address and not address.startswith("data:")} == {"#"}
    assert "url(" not in text
    assert "@import" not in text
    assert [url for url in re.findall(r"https?://[^\"' ]+", text) if "www.w3.org" not in url] == []
    (policy,) = [names["content"] for _, names in page.tags if "http-equiv" in names]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:; style-src 'sha256-")


def test_slots_in_titles_are_not_filled():
    assert "{{script}} 0" in page_html(contents("{{script}}"))


def test_every_button_and_picture_has_words_for_those_who_do_not_see_it():
    page = Page(page_html(contents()))
    assert all(names.get("alt") for tag, names in page.tags if tag == "img")
    assert all(names.get("aria-label") for _, names in page.tags if names.get("class") == "song")


def test_parts_that_could_not_be_made_are_said_to_be_missing():
    whole = contents()
    text = page_html(PageContents("", (), whole.songs, 0, None, None, whole.scores[1:], whole.commands, ()))
    assert "No song is long enough" in text
    assert "Too few songs to invent listeners" in text
    assert "too few to judge" in text


def test_a_name_that_is_no_unicode_does_not_stop_the_page(tmp_path):
    write_page(contents("caf\udce9"), tmp_path / "index.html")
    assert "caf?" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_clip_takes_a_few_kilobytes_and_stays_within_full_scale():
    loud = 3 * np.sin(np.arange(80_000) / 10).astype(np.float32)
    assert 15_000 < len(encode_mp3(loud, 16_000)) < 30_000
