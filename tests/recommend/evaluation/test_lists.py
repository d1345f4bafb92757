"""Top lists of blocks are those of one full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from audiomae.recommend.evaluation.lists import BlockLister, BlockScorer, DotScorer, FallbackLister

NOBODY = np.zeros(0, np.int64)


class Table(BlockScorer):
    """Scores written down."""

    def __init__(self, scores):
        self.table = np.asarray(scores, np.float32)
        self.items = self.table.shape[1]

    def score(self, users, items):
        return self.table[users, items].copy()

    def exact(self, users, rows):
        return self.table[users[:, None], rows].astype(np.float64)


def sort_fully(scores, heard, k, allowed=None):
    """The slow reference: one stable sort of all scores."""
    scores = np.where(heard, -np.inf, scores)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    lists = np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), -1, order)
    return np.pad(lists, ((0, 0), (0, k - lists.shape[1])), constant_values=-1)


def test_the_best_come_first_and_what_was_heard_not_at_all():
    heard = csr_matrix([[0, 1, 0, 0], [0, 0, 0, 0]])
    lister = BlockLister("table", Table([[1, 9, 3, 2], [4, 3, 2, 1]]), heard)
    assert lister.top(np.array([0, 1]), 3).tolist() == [[2, 3, 0], [0, 1, 2]]


def test_ties_go_to_the_smaller_row_across_blocks():
    lister = BlockLister("table", Table([[1, 2, 1, 2, 2, 1]]), csr_matrix((1, 6)), item_block=2)
    assert lister.top(np.array([0]), 5).tolist() == [[1, 3, 4, 0, 2]]


def test_a_short_catalogue_pads_the_list():
    lister = BlockLister("table", Table([[1, 2]]), csr_matrix([[1, 0]]))
    assert lister.top(np.array([0]), 3).tolist() == [[1, -1, -1]]


def test_only_allowed_items_are_listed():
    lister = BlockLister("table", Table([[3, 2, 1]]), csr_matrix((1, 3)))
    assert lister.top(np.array([0]), 3, np.array([False, True, True])).tolist() == [[1, 2, -1]]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_lists_of_blocks_are_those_of_a_full_sort(data):
    users, items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40))
    cells = users * items
    scores = np.reshape(
        data.draw(st.lists(st.integers(0, 5), min_size=cells, max_size=cells)), (users, items)
    )
    heard = np.reshape(data.draw(st.lists(st.booleans(), min_size=cells, max_size=cells)), (users, items))
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=items, max_size=items)))
    k, rows, columns = (data.draw(st.integers(1, 9)) for _ in range(3))
    lister = BlockLister("table", Table(scores), csr_matrix(heard), user_block=rows, item_block=columns)
    found = lister.top(np.arange(users), k, allowed)
    assert found.tolist() == sort_fully(scores.astype(float), heard, k, allowed).tolist()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 7), (5, 64), (100, 10_000)])
def test_block_sizes_do_not_change_lists_of_inner_products(rows, columns):
    generator = np.random.default_rng(0)
    users = generator.standard_normal((7, 16)).astype(np.float32)
    items = generator.standard_normal((200, 16)).astype(np.float32)
    items[50:150] = items[3]  # ties beyond any margin
    exact = (items.astype(np.float64) * users[:, None, :]).sum(axis=-1)
    heard = generator.random((7, 200)) < 0.1
    codes = np.arange(7)
    lister = BlockLister(
        "dot", DotScorer(codes, users, items), csr_matrix(heard), user_block=rows, item_block=columns
    )
    assert lister.top(codes, 20).tolist() == sort_fully(exact, heard, 20).tolist()


def test_many_equal_vectors_are_listed_in_the_order_of_their_ids():
    vectors = np.ones((3000, 8), np.float32) / np.float32(np.sqrt(8))
    users = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)
    lister = BlockLister(
        "dot", DotScorer(np.array([4, 9]), users, vectors), csr_matrix((10, 3000)), item_block=97
    )
    assert lister.top(np.array([9, 4]), 100).tolist() == [list(range(100))] * 2


def test_an_item_bias_and_items_never_listed():
    scorer = DotScorer(
        np.array([0]),
        np.ones((1, 2), np.float32),
        np.zeros((4, 2), np.float32),
        bias=np.array([1, 4, 3, 2], np.float32),
        listed=np.array([True, False, True, True]),
    )
    assert BlockLister("bias", scorer, csr_matrix((1, 4))).top(np.array([0]), 4).tolist() == [[2, 3, 0, -1]]


def test_a_batch_gives_what_its_users_give():
    generator = np.random.default_rng(2)
    users = generator.standard_normal((9, 8)).astype(np.float32)
    items = generator.standard_normal((500, 8)).astype(np.float32)
    lister = BlockLister("dot", DotScorer(np.arange(9), users, items), csr_matrix((9, 500)))
    single = [lister.top(np.array([user]), 10)[0].tolist() for user in range(9)]
    assert lister.top(np.arange(9), 10).tolist() == single


def test_users_a_lister_does_not_know_go_to_the_other():
    heard = csr_matrix((2, 2))
    lister = FallbackLister(
        BlockLister("one", Table([[1, 2], [1, 2]]), heard),
        BlockLister("other", Table([[2, 1], [2, 1]]), heard),
        np.array([True, False]),
    )
    assert lister.name == "one"
    assert lister.top(np.array([1, 0]), 1).tolist() == [[0], [1]]


def test_nobody_gets_no_list():
    assert BlockLister("table", Table([[1]]), csr_matrix((1, 1))).top(NOBODY, 3).shape == (0, 3)
