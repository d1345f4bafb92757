from __future__ import annotations

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiomae.disk import stores
from audiomae.errors import ConfigError, MissingError
from audiomae.verbs.prepare import PrepareSettings, prepare
from data_prep.songs.folder import songs as folder_songs
from data_prep.songs.sources import Asked, find_songs
from data_prep.songs.store import songs

NAMES = ["b.wav", "a.wav", "a/z.flac", "a/note.txt", "a/._z.flac", "ä ö/c.mp3"]


@pytest.fixture
def place(tmp_path):
    for name in NAMES:
        (tmp_path / "songs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "songs" / name).write_text(name)
    return tmp_path


def test_songs_come_in_the_order_of_a_folder(place):
    found = [song.url.removeprefix(f"file://{place}/songs/") for song in songs(f"file://{place}/songs/")]
    assert found == [str(song.path.relative_to(place / "songs")) for song in folder_songs([place / "songs"])]
    assert found == ["a/z.flac", "a.wav", "b.wav", "ä ö/c.mp3"]


def test_a_file_is_a_song_and_nothing_is_an_error(place):
    assert [song.url for song in songs(f"file://{place}/songs/b.wav")] == [f"file://{place}/songs/b.wav"]
    with pytest.raises(MissingError, match="gone: no such file or folder"):
        list(songs(f"file://{place}/gone"))
    (place / "texts").mkdir()
    (place / "texts" / "a.txt").write_text("a")
    with pytest.raises(MissingError, match="no audio found"):
        list(songs(f"file://{place}/texts"))


def test_a_list_names_songs_beside_it_and_elsewhere(place):
    (place / "list.csv").write_text("path,title\nsongs/b.wav,B\ns3://bucket/c.mp3,C\n/there/d.wav,D\n")
    found = list(songs(f"file://{place}/list.csv"))
    assert [(song.name, song.title) for song in found] == [
        (f"file://{place}/songs/b.wav", "B"),
        ("s3://bucket/c.mp3", "C"),
        ("/there/d.wav", "D"),
    ]


def test_other_sources_take_no_url():
    with pytest.raises(ConfigError, match="source fma reads a local tree, not s3://bucket/fma"):
        list(find_songs("fma", Asked(("s3://bucket/fma",))))
    with pytest.raises(ConfigError, match="name a folder for the songs with --songs_dir"):
        prepare(PrepareSettings((), "s3://bucket/corpus", source="generated"))


@pytest.mark.usefixtures("alone")
def test_songs_of_a_store_become_a_corpus_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PROTOCOLS", (*stores.PROTOCOLS, "memory"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    for number in range(3):
        soundfile.write(tmp_path / "song.wav", np.random.default_rng(number).normal(0, 0.1, 96_000), 16_000)
        store.put_file(str(tmp_path / "song.wav"), f"/songs/{number}.wav")
    config = PrepareSettings(("memory://songs",), "memory://corpus", staging=str(tmp_path / "staging"))
    assert prepare(config).kept == 3
    assert sorted(store.find("/corpus")) == [
        "/corpus/corpus.json",
        "/corpus/mels/shard-00000.npy",
        "/corpus/rejects.parquet",
        "/corpus/tracks.parquet",
    ]
    store.get_file("/corpus/tracks.parquet", str(tmp_path / "tracks.parquet"))
    tracks = pq.read_table(tmp_path / "tracks.parquet").to_pylist()
    assert [(row["path"], row["title"]) for row in tracks] == [
        (f"memory://songs/{number}.wav", str(number)) for number in range(3)
    ]
    before = store.info("/corpus/corpus.json")["created"]
    assert prepare(config).kept == 3
    assert store.info("/corpus/corpus.json")["created"] == before
    store.put_file(str(tmp_path / "song.wav"), "/songs/again.wav")
    assert prepare(config).kept == 4
    assert store.info("/corpus/corpus.json")["created"] > before
