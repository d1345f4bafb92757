"""Traits of tracks: taken where given, else from tags, and folders where asked, the tempo from the log-mels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiomae.audio.mel import MelSettings
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.corpus.writer import CorpusWriter
from audiomae.errors import DataError
from data_prep.plays.simulated.listeners import ListenerSettings, tables
from data_prep.plays.simulated.traits import estimate_tempo, read_traits

TEMPI = (72.0, 100.0, 120.0, 150.0)


def write_clicks(folder: Path) -> Corpus:
    """A corpus of clicks at known tempi, twenty seconds each."""
    generator = np.random.default_rng(0)
    writer = CorpusWriter(folder, MelSettings())
    tags = ({"artist": "Ada", "genre": "Rock"}, {"album": "Blue"}, {}, {})
    with writer.spool() as spool:
        for number, tempo in enumerate(TEMPI):
            seconds = np.arange(2000) / 100
            mels = (
                -8
                + 6 * np.exp(-40 * (seconds % (60 / tempo)))[:, None]
                + generator.normal(0, 0.3, (2000, 80))
            )
            path = spool / f"{number}.raw"
            mels.astype(np.float16).tofile(path)
            row = dict.fromkeys(TAGS, "") | tags[number]
            row |= {"track_id": f"pack-{number}/music/{number}.ogg", "path": f"/songs/{number}.ogg"}
            row |= {"content": f"content-{number}", "seconds": 20.0, "frames": 2000, "level": -20.0}
            row |= {
                "bytes": 1,
                "modified_ns": 1,
                "mel_sum": float(mels.sum()),
                "mel_square_sum": float((mels**2).sum()),
            }
            writer.add(row, path)
        writer.commit({"decoder": "synthetic"})
    return Corpus.open(folder)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_clicks(tmp_path_factory.mktemp("traits") / "corpus")


def test_the_tempo_of_clicks_is_found(clicks):
    for track, tempo in enumerate(TEMPI):
        assert estimate_tempo(clicks, track) == pytest.approx(tempo, rel=0.02)


def test_without_being_asked_no_folder_becomes_a_composer_or_style(clicks, caplog):
    caplog.set_level("INFO", "audiomae")
    traits = read_traits(clicks)
    assert traits["composer"].to_pylist() == ["Ada", "Blue", "unknown", "unknown"]
    assert traits["style"].to_pylist() == ["Rock", "unknown", "unknown", "unknown"]
    assert "3 of 4 tracks have no tag for composer or style, which stay unknown" in caplog.text


def test_unknown_artists_and_genres_are_empty_in_the_tables(clicks):
    made = tables(clicks.folder, ListenerSettings(listeners=20, mean_plays=3))
    tracks = made.tracks()
    assert tracks["artist"].to_pylist() == ["Ada", "Blue", "", ""]
    assert tracks["genre"].to_pylist() == ["Rock", "", "", ""]
    assert "empty where neither says them" in made.notes[1]
    asked = tables(clicks.folder, ListenerSettings(listeners=20, mean_plays=3, folders=True))
    assert asked.tracks()["artist"].to_pylist()[2:] == ["pack-2", "pack-3"]
    assert "else the name of a folder" in asked.notes[1]


def test_composer_and_style_fall_back_on_tags_and_then_where_asked_on_the_first_folder(clicks, caplog):
    caplog.set_level("INFO", "audiomae")
    traits = read_traits(clicks, folders=True)
    assert "3 of 4 tracks: the folder's name stands for a composer or style." in caplog.text
    assert traits.column_names == ["track_id", "title", "composer", "style", "tempo"]
    assert traits["composer"].to_pylist() == ["Ada", "Blue", "pack-2", "pack-3"]
    assert traits["style"].to_pylist() == ["Rock", "pack-1", "pack-2", "pack-3"]
    assert traits["title"].to_pylist() == ["0", "1", "2", "3"]


def test_given_traits_come_first(clicks, tmp_path):
    (tmp_path / "traits.csv").write_text(
        "track_id,composer,style,tempo\npack-1/music/1.ogg,Bo,Jazz,60\nelsewhere,X,Y,\npack-3/music/3.ogg,,Folk,\n"
    )
    traits = read_traits(clicks, tmp_path / "traits.csv")
    assert traits["composer"].to_pylist() == ["Ada", "Bo", "unknown", "unknown"]
    assert traits["style"].to_pylist() == ["Rock", "Jazz", "unknown", "Folk"]
    assert traits["tempo"].to_pylist()[1] == 60
    assert traits["tempo"].to_pylist()[3] == pytest.approx(150, rel=0.02)


def test_estimated_tempi_are_kept(clicks, tmp_path):
    cache = tmp_path / "tempo.parquet"
    first = read_traits(clicks, cache=cache)
    written = cache.stat().st_mtime_ns
    assert read_traits(clicks, cache=cache).equals(first)
    assert cache.stat().st_mtime_ns == written


def test_traits_of_other_tracks_and_impossible_tempi_are_refused(clicks, tmp_path):
    given = tmp_path / "traits.csv"
    given.write_text("track_id,tempo\nelsewhere,100\n")
    with pytest.raises(DataError, match=r"none of its 1 tracks is in the corpus, whose first is 'pack-0/"):
        read_traits(clicks, given)
    given.write_text("track_id,tempo\npack-0/music/0.ogg,9000\n")
    with pytest.raises(DataError, match=r"tempo is 9000; it must be from 30 to 300 beats a minute"):
        read_traits(clicks, given)
