"""The demo's story: less than a screen, whatever the collection is called."""

from __future__ import annotations

import pytest

from audiomae.cli.demo import show, status
from audiomae.demo_page.contents import (
    Command,
    Figure,
    ListedSong,
    PageContents,
    PageList,
    PageSong,
    ScoreCard,
)
from audiomae.verbs.demo import DemoResult

MEL = Figure("mel statistics", 0.66, 0.5, 0.8)
OURS = Figure("ours, trained on these songs", 0.52, 0.4, 0.6, True)


@pytest.fixture
def result(tmp_path):
    title = "A [bold]title[/bold] of many words " * 9
    near = tuple((i, 0.9 - i / 10) for i in range(1, 6))
    songs = tuple(PageSong(title, "", "", "", 60.0, 0.5, 0.5, near) for _ in range(30))
    parts = (("sound and taste", 1.0, 0.7), ("popularity", -0.2, 0.3))
    listed = PageList(
        "u1", "u1 (from DE) has played 9 songs so far.", ((0, 4),), (ListedSong(2, ((1, 0.8),), parts),) * 5
    )
    cards = [
        ScoreCard(name, "?", "Asked of 60 clips.", "", (OURS, MEL), 0.05, "Mel statistics win.", outcome)
        for name, outcome in (
            ("same song", "better"),
            ("artist", "worse"),
            ("folder", "open"),
            ("lists", "open"),
        )
    ]
    cards += [ScoreCard(name, "?", "12 songs; it takes 20.") for name in ("genre", "new songs")]
    commands = tuple(Command(f"audiomae similar {i}", "what it does") for i in range(3))
    page = tmp_path / "index.html"
    page.write_text("page")
    notes = ("A note that is long enough for two lines. " * 4,) * 2
    contents = PageContents("30 songs.", notes, songs, 0, None, listed, tuple(cards), commands, ())
    return DemoResult(str(page), contents, "run", "vectors", 15, 80, {"preparing": 61.0, "page": 100.0}, 90.0)


def test_the_story_takes_at_most_forty_lines(result, capsys):
    assert show(result) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 40
    assert max(map(len, printed.splitlines()[:-1])) < 160
    assert "{" not in printed


def test_the_story_says_where_mel_statistics_are_better_and_where_there_is_too_little(result, capsys):
    show(result)
    lines = capsys.readouterr().out.splitlines()
    (artist,) = [line for line in lines if line.startswith("  artist")]
    assert artist.split()[1:4] == ["0.52", "0.66", "0.05"]
    assert "mel statistics are better" in artist
    assert "  genre      too few to judge: 12 songs; it takes 20." in lines


def test_the_story_says_how_long_it_took_beside_what_was_announced(result, capsys):
    show(result)
    took, where = capsys.readouterr().out.splitlines()[-2:]
    assert took == "Preparing took 1 min 1 s, the rest 1 min 40 s; about 1 min 30 s were announced."
    assert where.startswith(f"Look and listen: {result.page} (0.0 MB")


def test_a_stopped_training_tells_no_story_and_what_follows_does_not_go_on(capsys):
    stopped = DemoResult("demo/index.html", stopped_by=15)
    assert show(stopped) == status(stopped) == 143
    assert capsys.readouterr().out == ""
