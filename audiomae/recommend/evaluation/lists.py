"""Top lists over a whole catalogue: scores block by block, the best k merged, memory bounded.

Users and items are named by their codes (places in the sorted vocabularies), so a tie broken by the smaller row is a
tie broken by the smaller id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audiomae.recommend.catalogue.mapped_rows import UnitRows

__all__ = ["BlockLister", "BlockScorer", "DotScorer", "FallbackLister", "Lister"]

USER_BLOCK = 256
ITEM_BLOCK = 8192
Real = TypeVar("Real", bound=np.floating)

MARGIN = 28
"""Items kept beyond k while scores are rounded; the exact scores then choose among them."""


class Lister(Protocol):
    """Whatever makes a top list for a user."""

    name: str

    def top(
        self, users: NDArray[np.int64], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """List k items a user, best first, (n, k) rows; -1 where there are no more.

        Items the user has heard are left out, and those where `allowed` (items,) is False; ties go to the smaller row.
        """
        ...


class BlockScorer(ABC):
    """Scores of users × a block of items; -inf for an item that is never to be listed."""

    items: int
    """Size of the catalogue."""
    rounds: bool = False
    """Whether `score` is only near `exact`, by at most `slack`."""

    @abstractmethod
    def score(self, users: NDArray[np.int64], items: slice) -> NDArray[np.float32]:
        """Return a new (n, m) array of scores of the users (n,) and the m items of a slice."""

    @abstractmethod
    def exact(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n, m) scores of the users (n,) and m rows each, the same whatever is asked beside them."""

    def slack(self, users: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n,) bounds of |score - exact|."""
        return np.zeros(len(users))


class DotScorer(BlockScorer):
    """Inner products plus a number an item: the score of towers and of matrix factorisation.

    Products of a block are float32 and depend in the last bit on the block; `exact` sums each row by itself in float64.

    Args:
        codes: The users it knows, sorted, (n,).
        users: Their vectors, (n, d) float32.
        vectors: Item vectors, (items, d) float32; may be memory-mapped, or `UnitRows`.
        bias: Added to each item's score, (items,); zero by default.
        listed: Items that may be listed, (items,); all by default.
    """

    rounds = True

    def __init__(
        self,
        codes: NDArray[np.int64],
        users: NDArray[np.float32],
        vectors: NDArray[np.float32] | UnitRows,
        bias: NDArray[np.float32] | None = None,
        listed: NDArray[np.bool_] | None = None,
    ) -> None:
        self.items = len(vectors)
        self._codes, self._users, self._vectors = codes, users, vectors
        self._bias, self._listed = bias, listed
        longest = max(
            (
                float(np.linalg.norm(vectors[at : at + ITEM_BLOCK], axis=1).max())
                for at in _starts(self.items)
            ),
            default=0.0,
        )
        self._unit = (users.shape[1] + 4) * float(np.finfo(np.float32).eps)
        self._reach = longest
        self._offset = 0.0 if bias is None else float(np.abs(bias).max(initial=0))

    def score(self, users: NDArray[np.int64], items: slice) -> NDArray[np.float32]:
        """See `BlockScorer.score`."""
        scores: NDArray[np.float32] = (
            self._users[np.searchsorted(self._codes, users)] @ self._vectors[items].T
        )
        if self._bias is not None:
            scores += self._bias[items]
        if self._listed is not None:
            scores[:, ~self._listed[items]] = -np.inf
        return scores

    def exact(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `BlockScorer.exact`."""
        mine = self._users[np.searchsorted(self._codes, users)].astype(np.float64)
        scores: NDArray[np.float64] = (self._vectors[rows] * mine[:, None, :]).sum(axis=-1)
        if self._bias is not None:
            scores = scores + self._bias[rows]
        return scores if self._listed is None else np.where(self._listed[rows], scores, -np.inf)

    def slack(self, users: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `BlockScorer.slack`: d roundings of a product of norms."""
        norms = np.linalg.norm(self._users[np.searchsorted(self._codes, users)].astype(np.float64), axis=1)
        bound: NDArray[np.float64] = self._unit * (norms * self._reach + self._offset)
        return bound


class BlockLister:
    """Lists by scoring blocks of users × blocks of items; what it holds at once does not grow with the catalogue.

    Args:
        name: What tables call it.
        scorer: The scores.
        heard: Users × items, non-zero where a user is not to be offered an item.
        user_block: Users scored at once.
        item_block: Items scored at once; neither changes a list.
    """

    def __init__(
        self,
        name: str,
        scorer: BlockScorer,
        heard: csr_matrix,
        *,
        user_block: int = USER_BLOCK,
        item_block: int = ITEM_BLOCK,
    ) -> None:
        self.name = name
        self.scorer = scorer
        self._heard = heard
        self._user_block, self._item_block = user_block, item_block

    def top(
        self, users: NDArray[np.int64], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """See `Lister.top`."""
        lists = np.full((len(users), k), -1, np.int64)
        for start in range(0, len(users), self._user_block):
            lists[start : start + self._user_block] = self._top_of_block(
                users[start : start + self._user_block], k, allowed
            )
        return lists

    def _top_of_block(
        self, users: NDArray[np.int64], k: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        wide = k + MARGIN if self.scorer.rounds else k
        owners, banned = self._banned(users)
        best = np.full((len(users), wide), -np.inf, np.float32)
        rows = np.full((len(users), wide), -1, np.int64)
        for start in _starts(self.scorer.items, self._item_block):
            stop = min(start + self._item_block, self.scorer.items)
            if allowed is not None and not allowed[start:stop].any():
                continue
            scores = self.scorer.score(users, slice(start, stop))
            if allowed is not None:
                scores[:, ~allowed[start:stop]] = -np.inf
            low, high = np.searchsorted(banned, (start, stop))
            scores[owners[low:high], banned[low:high] - start] = -np.inf
            best, rows = _merge(best, rows, scores, start)
        if not self.scorer.rounds:
            return rows
        exact = np.where(rows >= 0, self.scorer.exact(users, np.maximum(rows, 0)), -np.inf)
        order = np.lexsort((rows, -exact), axis=1)
        ranked = np.take_along_axis(rows, order, axis=1)[:, :k]
        # What was not kept scores at most best[:, -1] + slack: where that reaches the k-th, ties may hide behind it.
        limit = np.take_along_axis(exact, order, axis=1)[:, k - 1]
        unsure = (rows[:, -1] >= 0) & (limit <= best[:, -1] + self.scorer.slack(users))
        for at in np.flatnonzero(unsure):
            ranked[at] = self._top_exactly(users[at : at + 1], k, allowed, banned[owners == at])
        return ranked

    def _top_exactly(
        self,
        user: NDArray[np.int64],
        k: int,
        allowed: NDArray[np.bool_] | None,
        banned: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        best, rows = np.full((1, k), -np.inf), np.full((1, k), -1, np.int64)
        for start in _starts(self.scorer.items, self._item_block):
            stop = min(start + self._item_block, self.scorer.items)
            scores = self.scorer.exact(user, np.arange(start, stop)[None])
            if allowed is not None:
                scores[:, ~allowed[start:stop]] = -np.inf
            low, high = np.searchsorted(banned, (start, stop))
            scores[0, banned[low:high] - start] = -np.inf
            best, rows = _merge(best, rows, scores, start)
        found: NDArray[np.int64] = rows[0]
        return found

    def _banned(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (places in `users`, items) of what they have heard, in the order of the items."""
        pairs = self._heard[users].tocoo()
        order = np.argsort(pairs.col, kind="stable")
        return pairs.row[order].astype(np.int64), pairs.col[order].astype(np.int64)


class FallbackLister:
    """One lister for the users it has something to go by, another for the rest.

    Args:
        first: Lists the users where `knows` is True.
        rest: Lists the others.
        knows: (users,) whether the first knows a user.
    """

    def __init__(self, first: Lister, rest: Lister, knows: NDArray[np.bool_]) -> None:
        self.name = first.name
        self._first, self._rest, self._knows = first, rest, knows

    def top(
        self, users: NDArray[np.int64], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """See `Lister.top`."""
        lists = np.full((len(users), k), -1, np.int64)
        known = self._knows[users]
        for lister, mine in ((self._first, known), (self._rest, ~known)):
            if mine.any():
                lists[mine] = lister.top(users[mine], k, allowed)
        return lists


def _starts(items: int, block: int = ITEM_BLOCK) -> range:
    return range(0, items, block)


def _merge(
    best: NDArray[Real], rows: NDArray[np.int64], scores: NDArray[Real], start: int
) -> tuple[NDArray[Real], NDArray[np.int64]]:
    """Return the kept scores and rows (n, k) after a block whose rows all come after those kept.

    Equal scores keep their order, so only what beats the last one kept comes in.
    """
    wide = best.shape[1]
    better = scores > best[:, -1:]
    if better.sum(axis=1).max(initial=0) > 4 * wide:
        place = scores.shape[1] - wide
        better &= scores >= np.partition(scores, place, axis=1)[:, place, None]
    coming = better.sum(axis=1)
    most = int(coming.max(initial=0))
    if most == 0:
        return best, rows
    owner, column = np.nonzero(better)
    place_of = np.arange(len(owner)) - np.repeat(np.cumsum(coming) - coming, coming)
    more = np.full((len(best), most), -np.inf, best.dtype)
    more_rows = np.full((len(best), most), -1, np.int64)
    more[owner, place_of] = scores[owner, column]
    more_rows[owner, place_of] = column + start
    best, rows = np.concatenate([best, more], axis=1), np.concatenate([rows, more_rows], axis=1)
    order = np.argsort(-best, axis=1, kind="stable")[:, :wide]
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
