"""A corpus that lies in a store: its tables are read at once, its shards as they are needed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.corpus.corpus import CORPUS_FORMAT, Corpus
from audiomae.corpus.meta import CorpusMeta, shard_file
from audiomae.disk.files import read_json
from audiomae.disk.stores import connect_store, fetch_file, find_files, is_url, store_errors
from audiomae.errors import MissingError

__all__ = ["StoredCorpus", "open_corpus"]

HELD_SHARDS = 4
"""Shards that a process keeps; tracks that follow one another lie in one shard or two."""


class StoredCorpus(Corpus):
    """A corpus at a URL. Shards are fetched whole into a temporary folder that goes with the object."""

    url = ""

    @classmethod
    def at(cls, url: str, meta: dict[str, Any], tracks: pa.Table) -> StoredCorpus:
        """Return the corpus of these tables."""
        folder = Path(tempfile.mkdtemp(prefix="audiomae-corpus-"))
        corpus = cls(folder, meta, tracks)
        corpus.url = url
        weakref.finalize(corpus, shutil.rmtree, folder, ignore_errors=True)
        return corpus

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredCorpus.at, (self.url, self.meta, self.tracks)

    def _map(self, shard: int) -> NDArray[np.float16]:
        if shard not in self._maps:
            path = self.folder / shard_file(shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch_file(f"{self.url}/{shard_file(shard)}", path)
            while len(self._maps) >= HELD_SHARDS:
                oldest = next(iter(self._maps))
                del self._maps[oldest]
                (self.folder / shard_file(oldest)).unlink(missing_ok=True)  # what is mapped stays readable
        return super()._map(shard)


def open_corpus(name: Path | str) -> Corpus:
    """Open a corpus in a folder, or at a URL, and check that all of it is there.

    Raises:
        MissingError: If a file is missing or cut short.
        DataError: If it is of another format.
        StorageError: If the store cannot be reached.
    """
    if not is_url(name):
        return Corpus.open(name)
    url = str(name).rstrip("/")
    store, root = connect_store(url)
    with tempfile.TemporaryDirectory(prefix="audiomae-corpus-") as temporary:
        folder = Path(temporary)
        for file in ("corpus.json", "tracks.parquet"):
            fetch_file(f"{url}/{file}", folder / file)
        meta = read_json(folder / "corpus.json", format=CORPUS_FORMAT)
        with store_errors(url):
            there = {path[len(root) :].lstrip("/"): about["size"] for path, about in find_files(store, root)}
        for shard in CorpusMeta.of(meta, f"{url}/corpus.json").shards:
            if there.get(shard.file) != shard.bytes:
                raise MissingError(
                    f"{url}/{shard.file}: {there.get(shard.file, 'none')} of {shard.bytes} bytes are there. Copy the "
                    "corpus anew."
                )
            stand_in = folder / shard.file  # a name of ours, below the temporary folder
            stand_in.parent.mkdir(exist_ok=True)
            with stand_in.open("wb") as file_of_that_size:
                file_of_that_size.truncate(shard.bytes)  # takes no room; Corpus.open asks for its size
        corpus = Corpus.open(folder)
    return StoredCorpus.at(url, corpus.meta, corpus.tracks)
