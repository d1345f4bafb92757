from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest

from audiomae.corpus.corpus import Corpus
from audiomae.corpus.remote import StoredCorpus, open_corpus
from audiomae.disk import stores
from audiomae.disk.stores import copy_folder, fetch_file, is_url, local_copy, staged, stamp_url
from audiomae.errors import ConfigError, DecodeError, MissingError, StorageError


@pytest.fixture
def store(monkeypatch):
    """A store of this process alone."""
    monkeypatch.setattr(stores, "PROTOCOLS", (*stores.PROTOCOLS, "memory"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def put(files, path: str, data: bytes) -> None:
    with files.open(path, "wb") as handle:
        handle.write(data)


def test_a_copy_has_the_name_of_the_file_and_goes(store):
    put(store, "/songs/a b.wav", b"sound")
    with local_copy("memory://songs/a b.wav") as path:
        assert (path.name, path.read_bytes()) == ("a b.wav", b"sound")
    assert not path.exists()
    with local_copy(Path("here.wav")) as path:
        assert path == Path("here.wav")


def test_what_cannot_be_fetched_is_told(store, monkeypatch, tmp_path):
    with (
        pytest.raises(DecodeError, match=r"^memory://gone\.wav: no such file$"),
        local_copy("memory://gone.wav"),
    ):
        pass
    with pytest.raises(
        ConfigError, match=r"^nowhere://a: protocol 'nowhere' is not taken\. Use one of abfs, "
    ):
        fetch_file("nowhere://a", tmp_path / "a")
    asked = []

    def fail(*_: object) -> None:
        asked.append(1)
        raise TimeoutError("slow\nstore")

    monkeypatch.setattr("audiomae.disk.stores.time.sleep", lambda _: None)
    monkeypatch.setattr(type(store), "get_file", fail)
    with pytest.raises(StorageError, match=r"^memory://a: fetch: TimeoutError: slow store$"):
        fetch_file("memory://a", tmp_path / "a")
    assert len(asked) == 3


def test_a_stamp_changes_with_the_file(store):
    assert stamp_url("memory://a") == (-1, -1)
    put(store, "/a", b"12")
    size, modified = stamp_url("memory://a")
    assert size == 2
    assert stamp_url("memory://a") == (2, modified)
    put(store, "/a", b"34")
    assert stamp_url("memory://a")[1] != modified


def test_a_folder_is_copied_with_its_json_last_and_only_what_changed(store, tmp_path):
    for name, text in {"index.json": "{}", "a.parquet": "a", "deep/b.npy": "b", ".lock": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert copy_folder(tmp_path, "memory://out", "index.json") == ["deep/b.npy", "a.parquet", "index.json"]
    assert store.cat("/out/deep/b.npy") == b"b"
    assert copy_folder(tmp_path, "memory://out", "index.json") == []
    (tmp_path / "a.parquet").write_text("other")
    (tmp_path / "deep" / "b.npy").unlink()
    assert copy_folder(tmp_path, "memory://out", "index.json") == ["a.parquet"]
    assert sorted(store.find("/out")) == ["/out/a.parquet", "/out/index.json"]
    store.rm("/out/a.parquet")
    assert copy_folder(tmp_path, "memory://out", "index.json") == ["a.parquet"]


def test_a_copy_that_breaks_off_does_not_count_and_goes_on(store, tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    (tmp_path / "index.json").write_text("{}")
    real = type(store).put_file

    def fail(self, source, target, *rest, **more):
        if target.endswith("index.json"):
            raise OSError("quota")
        real(self, source, target, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "put_file", fail)
        with pytest.raises(StorageError, match=r"memory://out: OSError: quota\. What was there before"):
            copy_folder(tmp_path, "memory://out", "index.json")
    assert sorted(store.find("/out")) == ["/out/a"]
    copy_folder(tmp_path, "memory://out", "index.json")
    assert store.exists("/out/index.json")


def test_what_lies_in_a_store_is_not_replaced_by_who_did_not_make_it(store, tmp_path):
    with staged("memory://out", "index.json", str(tmp_path / "mine")) as folder:
        folder.mkdir()
        (folder / "index.json").write_text("{}")
    with staged("memory://out", "index.json", str(tmp_path / "mine")) as folder:
        (folder / "more").write_text("more")
    assert store.exists("/out/more")
    with (
        pytest.raises(
            StorageError, match=r"holds index\.json already, and .*other, the folder it was made in"
        ),
        staged("memory://out", "index.json", str(tmp_path / "other")),
    ):
        pass


def test_what_was_removed_from_a_store_does_not_come_back_unasked(store, tmp_path):
    with staged("memory://out", "index.json", str(tmp_path / "mine")) as folder:
        folder.mkdir()
        (folder / "index.json").write_text("{}")
    store.rm("/out", recursive=True)
    with (
        pytest.raises(
            StorageError, match=r"no longer holds what was made in .*mine and copied there\. Remove"
        ),
        staged("memory://out", "index.json", str(tmp_path / "mine")),
    ):
        pass
    assert not store.exists("/out/index.json")


def test_a_folder_needs_no_staging(tmp_path):
    with staged(str(tmp_path / "out"), "index.json") as folder:
        assert folder == tmp_path / "out"
    assert not is_url(folder)


def test_a_corpus_in_a_store_reads_as_it_does_in_a_folder(store, small_corpus):
    copy_folder_without_trace(small_corpus, store)
    here, there = Corpus.open(small_corpus), open_corpus("memory://corpus")
    assert isinstance(there, StoredCorpus)
    assert there.fingerprint == here.fingerprint
    for track in range(len(here)):
        assert np.array_equal(there.mels(track, 3, 50), here.mels(track, 3, 50))
    meta = json.loads(store.cat("/corpus/corpus.json"))
    put(store, f"/corpus/{meta['shards'][0]['file']}", b"short")
    with pytest.raises(MissingError, match=r"shard-00000\.npy: 5 of \d+ bytes are there"):
        open_corpus("memory://corpus")


def copy_folder_without_trace(folder: Path, store) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            put(store, f"/corpus/{path.relative_to(folder)}", path.read_bytes())
