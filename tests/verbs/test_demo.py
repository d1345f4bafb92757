"""The demo: the whole path on a few songs, what it takes where there is no real music, and going on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from audiomae.corpus.corpus import Corpus
from audiomae.demo_page.music import choose_source
from audiomae.errors import ConfigError, DataError, MissingError
from audiomae.recommend.serving.recommender import Recommender
from audiomae.vectors.vectors import Vectors
from audiomae.verbs import demo as demo_module
from audiomae.verbs.demo import DemoSettings, demo


def settings_for(tones, tiny_model, out, **changes):
    return replace(
        DemoSettings((str(tones),), str(out), model=str(tiny_model), workers=1, threads=1), **changes
    )


def test_a_few_songs_give_a_page_without_training_or_listeners(tones, tiny_model, tmp_path):
    result = demo(settings_for(tones, tiny_model, tmp_path / "demo"))
    contents = result.contents
    assert (tmp_path / "demo" / "index.html").stat().st_size > 100_000
    assert (result.trained_on, result.steps, result.model) == (0, 0, str(tiny_model))
    assert "6 songs are too few to train on: it takes 20" in contents.notes[0]
    assert [len(song.neighbours) for song in contents.songs] == [5] * 6
    assert all(song.sound for song in contents.songs)
    assert all(card.figures == () for card in contents.scores)
    assert contents.listed is None
    assert contents.rebuilt.error_db > 0
    assert set(result.seconds) >= {"preparing", "vectors", "judging", "page"}
    assert result.announced_seconds > 0


def test_the_same_settings_go_on_with_what_lies_there(tones, tiny_model, tmp_path):
    settings = settings_for(tones, tiny_model, tmp_path / "demo", minutes=0)
    first = demo(settings)
    kept = [path for kind in ("sounds/*.mp3", "vectors/clips/*") for path in (tmp_path / "demo").glob(kind)]
    made = {path: path.stat().st_mtime_ns for path in kept}
    again = demo(settings)
    assert len(made) == 6 + 1
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert again.contents.songs == first.contents.songs


def test_songs_added_later_come_into_the_page(tones, tiny_model, tmp_path):
    four = tuple(str(path) for path in sorted(tones.iterdir())[:4])
    settings = settings_for(tones, tiny_model, tmp_path / "demo", minutes=0)
    assert len(demo(replace(settings, songs=four)).contents.songs) == 4
    assert len(demo(settings).contents.songs) == 6


def test_three_songs_are_too_few(tones, tiny_model, tmp_path):
    three = tuple(str(path) for path in sorted(tones.iterdir())[:3])
    with pytest.raises(DataError, match="holds 3 songs; the demo needs at least 4"):
        demo(settings_for(tones, tiny_model, tmp_path / "demo", songs=three))


def test_minutes_below_nothing_are_refused():
    with pytest.raises(ConfigError, match="minutes is -1; it must be at least 0"):
        DemoSettings(minutes=-1)


@pytest.mark.processes
def test_the_demo_walks_the_whole_path_and_says_what_it_took(tmp_path):
    out = tmp_path / "demo"
    result = demo(
        DemoSettings(
            (), str(out), corpus="generated", count=24, minutes=0.05, listeners=500, workers=1, threads=1
        )
    )
    contents = result.contents
    assert (result.trained_on, len(contents.songs)) == (12, 24)
    assert result.steps > 0
    assert len(Vectors.open(out / "vectors").track_ids) == len(Corpus.open(out / "corpus")) == 24
    assert len(contents.listed.songs) == 5
    assert abs(sum(share for _, _, share in contents.listed.songs[0].parts) - 1) < 1e-6
    assert [card.name for card in contents.scores] == [
        "same song",
        "artist",
        "genre",
        "lists",
        "new songs",
    ]
    assert "it takes 20" in contents.scores[0].asked  # 12 songs are held out
    assert "it takes 40 songs" in contents.scores[3].asked
    assert len(contents.commands) == 3
    assert (out / "index.html").stat().st_size < 4_000_000


@pytest.mark.processes
def test_songs_added_later_train_anew_what_no_longer_fits(tmp_path, caplog):
    out = tmp_path / "demo"
    settings = DemoSettings(
        (), str(out), corpus="generated", count=24, minutes=0.02, listeners=500, workers=1, threads=1
    )
    demo(settings)
    with caplog.at_level("INFO"):
        result = demo(replace(settings, count=26))
    assert len(result.contents.songs) == 26
    assert len(result.contents.listed.songs) == 5
    assert len(Recommender.open(out / "recommender").track_ids) == 26
    renewed = [message.split(":")[0] for message in caplog.messages if "trained anew" in message]
    assert renewed == [str(out / name) for name in ("run", "recommender", "mel_recommender")]


def fail_for_debian(monkeypatch):
    """Let preparing Debian's songs fail, and any other do nothing; return the sources that were asked for."""
    asked = []

    def prepare(settings, *, progress):  # noqa: ARG001
        asked.append(settings.source)
        if settings.source == "debian":
            raise DataError("package 'x': apt-get does not know it. Run `apt-get update` first.")

    monkeypatch.setattr(demo_module, "prepare", prepare)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return asked


def test_where_debian_does_not_answer_songs_are_generated_and_it_is_said(tmp_path, monkeypatch, caplog):
    asked = fail_for_debian(monkeypatch)
    with pytest.raises(MissingError):
        demo(DemoSettings(out=str(tmp_path)))
    assert asked == ["debian", "generated"]
    assert "generating songs instead" in caplog.text
    # The same command goes on with what it took before.
    assert choose_source(tmp_path, "auto") == "generated"


def test_real_music_that_was_asked_for_by_name_is_not_replaced(tmp_path, monkeypatch):
    asked = fail_for_debian(monkeypatch)
    with pytest.raises(DataError, match="apt-get does not know it"):
        demo(DemoSettings(out=str(tmp_path), corpus="debian"))
    assert asked == ["debian"]
