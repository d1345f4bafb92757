from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import MissingError
from audiomae.recommend.catalogue.inverted_lists import InvertedLists
from audiomae.vectors.search import unit_rows


def some_vectors(count: int = 500, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, 6)))


def everything(lists: InvertedLists, query: np.ndarray, k: int) -> list[int]:
    lists.probes = lists.cells
    return sorted(lists.search(query, k).tolist())


def best(vectors: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    return sorted(np.argsort(-(vectors @ query), kind="stable")[:k].tolist())


def test_probing_every_cell_is_exact():
    vectors = some_vectors()
    assert everything(InvertedLists.build(vectors), vectors[7], 10) == best(vectors, vectors[7], 10)


def test_the_same_vectors_and_seed_give_the_same_lists():
    vectors = some_vectors()
    first, second = InvertedLists.build(vectors, seed=3), InvertedLists.build(vectors, seed=3)
    assert [first.search(one, 5).tolist() for one in vectors] == [
        second.search(one, 5).tolist() for one in vectors
    ]


def test_tuning_takes_the_fewest_probes_that_reach_the_target():
    vectors = some_vectors(2000)
    queries = some_vectors(50, seed=1)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    lists = InvertedLists.build(vectors)
    probes, recall = lists.tune(queries, truth, 0.9)
    assert recall >= 0.9
    assert 1 < probes < lists.cells
    lists.probes = probes - 1
    hits = [np.isin(lists.search(one, 10), true).sum() for one, true in zip(queries, truth, strict=True)]
    assert np.sum(hits) / 500 < 0.9


def test_carried_lists_hold_what_lists_made_afresh_hold():
    vectors, new = some_vectors(300), some_vectors(40, seed=5)
    moved = np.arange(300)
    gone = np.array([0, 17, 299])
    kept = np.setdiff1d(np.arange(300), gone)
    # The new vectors come first, as ids that sort before the others would.
    moved[gone], moved[kept] = -1, 40 + np.arange(len(kept))
    lists = InvertedLists.build(vectors).carry(moved, np.arange(40), new)
    after = np.concatenate([new, vectors[kept]])
    assert len(lists) == len(after)
    for query in some_vectors(20, seed=9):
        assert everything(lists, query, 15) == best(after, query, 15)


def test_lists_are_read_as_they_were_written(tmp_path):
    vectors = some_vectors()
    lists = InvertedLists.build(vectors)
    lists.write(tmp_path / "index.faiss")
    again = InvertedLists.read(tmp_path / "index.faiss", 4)
    assert again.probes == 4
    assert everything(again, vectors[3], 9) == everything(lists, vectors[3], 9)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "index.faiss").write_bytes(b"nothing of the kind")
    with pytest.raises(MissingError, match=r"index.faiss: cannot be read .*train-towers"):
        InvertedLists.read(tmp_path / "index.faiss", 1)
    with pytest.raises(MissingError, match=r"none.faiss: cannot be read"):
        InvertedLists.read(tmp_path / "none.faiss", 1)
