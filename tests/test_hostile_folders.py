"""Folders that somebody else made: nothing outside them is touched, and what is wrong with them is one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.corpus.corpus import Corpus
from audiomae.corpus.remote import open_corpus
from audiomae.disk import stores
from audiomae.disk.stores import connect_store, fetch_file, local_copy
from audiomae.errors import ConfigError, DataError, DecodeError
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter
from data_prep.songs.table import songs

TREASURE = b"what lies elsewhere"


@pytest.fixture
def treasure(tmp_path) -> Path:
    """A file outside every folder of the test, which must stay as it is."""
    path = tmp_path / "treasure.npy"
    path.write_bytes(TREASURE)
    return path


@pytest.fixture
def corpus(small_corpus, tmp_path) -> Path:
    return Path(shutil.copytree(small_corpus, tmp_path / "corpus"))


@pytest.fixture
def vectors(tmp_path) -> Path:
    folder = tmp_path / "vectors"
    writer = VectorsWriter(folder, {"whiten": 0}, 3)
    ones = np.ones((2, 3), np.float32)
    writer.add_part([TrackClips(name, np.array([0.0, 5.0]), ones) for name in ("a", "b")])
    writer.finish({})
    return folder


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "reference://a::file:///tmp/evil.json",
        "reference:///tmp/evil.json",
        "simplecache::s3://bucket/a.wav",
        "zip://a.wav::file:///tmp/a.zip",
        "file:///tmp/a.wav::file:///tmp/b",
        "local:///tmp/a.wav",
        "memory://a.wav",
        "ftp://host/a.wav",
        "github://owner:repo@/a.wav",
        "FILE:///tmp/a.wav",
        "://a.wav",
    ],
)
def test_a_url_of_another_protocol_or_a_chain_opens_nothing(monkeypatch, tmp_path, url):
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda *_: pytest.fail("fsspec was asked"))
    line = r"(names several stores with '::'|protocol '.*' is not taken)\. Use one of abfs, abfss, az, file, "
    with pytest.raises(ConfigError, match=line):
        connect_store(url)
    with pytest.raises(ConfigError, match=line):
        fetch_file(url, tmp_path / "a")
    with pytest.raises(ConfigError, match=line):
        open_corpus(url)
    (tmp_path / "list.csv").write_text(f'path\n"{url}"\n')
    (song,) = songs(tmp_path / "list.csv")
    with pytest.raises(DecodeError, match=line), local_copy(song.name):
        pass


# Corpora


def test_a_corpus_in_a_store_that_names_another_path_writes_nothing(edit, corpus, treasure, monkeypatch):
    monkeypatch.setattr(stores, "PROTOCOLS", (*stores.PROTOCOLS, "memory"))
    store = fsspec.filesystem("memory")
    for name in (str(treasure), "../treasure.npy", "mels/../../treasure.npy"):
        edit(corpus / "corpus.json", lambda meta, name=name: meta["shards"][0].update(file=name, bytes=19))
        store.store.clear()
        for path in (*corpus.glob("*.*"), *corpus.glob("mels/*")):
            store.put_file(str(path), f"/corpus/{path.relative_to(corpus)}")
        store.pipe_file(f"/corpus/{name}", TREASURE)
        with pytest.raises(DataError, match=r"names a shard .*, which no corpus holds\. Take another copy\."):
            open_corpus("memory://corpus")
    store.store.clear()
    assert treasure.read_bytes() == TREASURE


@pytest.mark.parametrize(
    "name", ["../treasure.npy", "/etc/passwd", "mels/shard-00001.npy", "mels/./shard-00000.npy"]
)
@pytest.mark.usefixtures("treasure")
def test_a_corpus_whose_shard_has_another_name_is_refused(edit, corpus, name):
    edit(corpus / "corpus.json", lambda meta: meta["shards"][0].update(file=name, bytes=len(TREASURE)))
    with pytest.raises(DataError, match=r"names a shard .*, which no corpus holds\. Take another copy\."):
        Corpus.open(corpus)


def test_a_shard_that_is_a_link_out_of_the_corpus_is_refused(corpus, tmp_path):
    shard = corpus / "mels" / "shard-00000.npy"
    shard.rename(tmp_path / "elsewhere.npy")
    shard.symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(DataError, match=r"shard-00000\.npy: is a link that leads out of "):
        Corpus.open(corpus)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"mel": {"mels": "80"}}, r"mel\.mels is '80'; it must be a whole number"),
        ({"mel": {"mels": 10**6}}, r"mel\.mels is 1000000; it must be from 1 to 1024"),
        ({"mel": [1]}, "mel is list; it must be an object"),
        ({"mean": "x"}, "mean is 'x'; it must be a finite number"),
        ({"shards": 7}, "shards is 7; it must be a list"),
        ({"shards": [{"shard": 10**15, "file": "x", "bytes": 0}]}, "names a shard 'x'"),
        ({"fingerprint": None}, "fingerprint is None; it must be text"),
    ],
)
def test_a_corpus_json_of_other_types_or_absurd_sizes_is_one_line(edit, corpus, change, line):
    edit(corpus / "corpus.json", lambda meta: meta.update(change))
    with pytest.raises(DataError, match=line) as caught:
        Corpus.open(corpus)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"), [("shard", 9), ("first_frame", -1), ("frames", 10**12), ("frames", 2**62)]
)
def test_a_track_outside_its_shard_is_refused(corpus, column, value):
    table = pq.read_table(corpus / "tracks.parquet")
    cells = table[column].to_pylist()
    cells[3] = value
    place = table.column_names.index(column)
    table = table.set_column(
        place, table.schema.field(column), pa.array(cells, table.schema.field(column).type)
    )
    pq.write_table(table, corpus / "tracks.parquet")
    with pytest.raises(
        DataError, match=r"tracks\.parquet: row 4 lies outside shard \d\. Prepare the corpus again\."
    ):
        Corpus.open(corpus)


@pytest.mark.parametrize("shard", [np.zeros((7200, 40), np.float32), np.zeros((7200, 20), np.float64)])
def test_a_shard_of_another_kind_but_the_same_size_is_one_line(edit, corpus, shard):
    path = corpus / "mels" / "shard-00000.npy"
    np.save(path, shard)
    edit(corpus / "corpus.json", lambda meta: meta["shards"][0].update(bytes=path.stat().st_size))
    with pytest.raises(
        DataError, match=r"shard-00000\.npy: holds float\d\d of shape .*, not float16 of 80 mel bands"
    ):
        Corpus.open(corpus).mels(0)


# Vectors


@pytest.mark.parametrize("name", ["../tracks.parquet", "/etc/passwd", "part-00000.parquet/../x", 7])
def test_a_part_of_vectors_with_another_name_is_refused(edit, vectors, name):
    edit(vectors / "vectors.json", lambda meta: meta["parts"][0].update(name=name))
    with pytest.raises(
        DataError, match=r"names a file .*, which no such folder holds|name is 7; it must be text"
    ):
        Vectors.open(vectors)


def test_a_part_that_is_a_link_out_of_the_vectors_is_refused(vectors, tmp_path):
    part = vectors / "clips" / "part-00000.parquet"
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"part-00000\.parquet: is a link that leads out of "):
        Vectors.open(vectors)


def test_vectors_that_are_not_finite_or_of_another_length_are_refused(edit, vectors):
    table = pq.read_table(vectors / "tracks.parquet")
    kind = table.schema.field("vector").type
    bad = pa.FixedSizeListArray.from_arrays(pa.array([1, 1, np.nan, 1, 1, 1], pa.float32()), type=kind)
    place = table.column_names.index("vector")
    pq.write_table(table.set_column(place, table.schema.field("vector"), bad), vectors / "tracks.parquet")
    with pytest.raises(
        DataError, match=r"tracks\.parquet: a vector has NaN or infinite entries\. Export again\."
    ):
        Vectors.open(vectors)
    pq.write_table(table, vectors / "tracks.parquet")
    edit(vectors / "vectors.json", lambda meta: meta.update(dim=4))
    with pytest.raises(DataError, match=r"tracks\.parquet: a vector is not of 4 entries\. Export again\."):
        Vectors.open(vectors)


@pytest.mark.parametrize("column", ["vector", "track_id", "title"])
def test_a_table_of_vectors_without_a_column_is_one_line(vectors, column):
    table = pq.read_table(vectors / "tracks.parquet").drop_columns([column])
    pq.write_table(table, vectors / "tracks.parquet")
    with pytest.raises(DataError, match=rf"column {column}|no column {column}"):
        Vectors.open(vectors)


def test_a_title_of_two_megabytes_is_one_line(vectors):
    table = pq.read_table(vectors / "tracks.parquet")
    place = table.column_names.index("title")
    table = table.set_column(place, table.schema.field("title"), pa.array(["x" * (2 << 20), "y"]))
    pq.write_table(table, vectors / "tracks.parquet")
    with pytest.raises(DataError, match="column title holds a cell of 2,097,152 bytes"):
        Vectors.open(vectors)
