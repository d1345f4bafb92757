"""The demo: every step on generated songs, and what it takes where there is no real music."""

from __future__ import annotations

import json
import shutil

import pytest

from audiomae.cli import demo as demo_verb
from audiomae.cli.demo import DemoSettings, chosen_corpus, prepare_songs
from audiomae.cli.main import main
from audiomae.corpus.corpus import Corpus
from audiomae.errors import DataError
from audiomae.vectors.vectors import Vectors


@pytest.mark.processes
def test_the_demo_walks_the_whole_path_and_says_what_it_took(tmp_path, capsys):
    out = tmp_path / "demo"
    arguments = ["demo", "--corpus", "generated", "--count", "12", "--minutes", "0.05", "--out", str(out)]
    assert main([*arguments, "--workers", "1", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "songs: 12 generated ones" in printed
    assert "Most similar to" in printed
    assert "same_track" in printed
    assert "mel statistics" in printed
    assert (out / "reconstruction" / "reconstruction.png").stat().st_size > 5000
    assert (out / "reconstruction" / "rebuilt.wav").stat().st_size > 100_000
    assert len(Vectors.open(out / "vectors").track_ids) == len(Corpus.open(out / "corpus")) == 12
    scores = json.loads((out / "probe.json").read_text())
    assert scores["tasks"]["same_track"]["clips"] == 9  # three clips of each of the three held-out songs
    assert "tracks nobody had played (simulated listeners" in printed
    assert "recall@20 in the whole catalogue: " in printed
    judged = json.loads((out / "evaluation.json").read_text())
    assert set(judged["parts"]["all"]["systems"]) >= {"towers", "mel_recommender", "random", "popularity"}


def test_without_a_choice_the_demo_takes_real_music_where_apt_get_is(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert chosen_corpus(DemoSettings(), tmp_path) == "debian"
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert chosen_corpus(DemoSettings(), tmp_path) == "generated"


def test_where_debian_does_not_answer_songs_are_generated_and_it_is_said(tmp_path, monkeypatch, capsys):
    asked = []

    def prepare(settings):
        asked.append(settings.source)
        if settings.source == "debian":
            raise DataError("package 'x': apt-get does not know it. Run `apt-get update` first.")
        return 0

    monkeypatch.setattr(demo_verb, "prepare", prepare)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert prepare_songs(DemoSettings(out=str(tmp_path)), tmp_path) == 0
    assert asked == ["debian", "generated"]
    assert "generating songs instead" in capsys.readouterr().err
    # The same command goes on with what it took before.
    assert chosen_corpus(DemoSettings(), tmp_path) == "generated"


def test_real_music_that_was_asked_for_by_name_is_not_replaced(tmp_path, monkeypatch):
    def prepare(_settings):
        raise DataError("apt-get is not on PATH.")

    monkeypatch.setattr(demo_verb, "prepare", prepare)
    with pytest.raises(DataError, match="apt-get is not on PATH"):
        prepare_songs(DemoSettings(out=str(tmp_path), corpus="debian"), tmp_path)
