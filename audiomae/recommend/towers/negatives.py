"""What a play is told apart from: tracks that the user is not known to have played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require, require_all

__all__ = [
    "NEGATIVE_KINDS",
    "KnownPositives",
    "NegativeKind",
    "NegativeSettings",
    "PopularityKind",
    "draw_uniform",
    "log_offsets",
]

NegativeKind = Literal["uniform", "in_batch", "mixed", "hard"]
NEGATIVE_KINDS: tuple[NegativeKind, ...] = get_args(NegativeKind)
PopularityKind = Literal["separate", "learned", "none"]

Ints = NDArray[np.int64]

_TRIES = 4


@dataclass(frozen=True)
class NegativeSettings:
    """Where negatives come from. Only tracks with a play in the training are drawn: others are not made worse.

    Attributes:
        kind: uniform, some tracks for each play; in_batch, what the others of the batch played; mixed, those and
            uniform ones shared by the batch; hard, after a warm-up the worst of the mixed ones.
        per_positive: Negatives of a play, where they are uniform.
        extra: Uniform negatives shared by a batch, where they are mixed or hard.
        hardest: Negatives that a play keeps, where they are hard.
        warmup: Share of the steps after which only the hardest are kept.
    """

    kind: NegativeKind = "mixed"
    per_positive: int = 8
    extra: int = 512
    hardest: int = 64
    warmup: float = 0.3

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "per_positive", "extra", "hardest", prefix="negatives.", least=1)
        require("negatives.warmup", self.warmup, least=0, most=1)

    @property
    def shared(self) -> int:
        """Uniform negatives that all of a batch share."""
        return self.extra if self.kind in ("mixed", "hard") else 0

    def count(self, batch: int) -> int:
        """Return the negatives of a play, those known to be positives included."""
        return self.per_positive if self.kind == "uniform" else batch - 1 + self.shared


class KnownPositives:
    """Who is known to have played what.

    Args:
        users: User codes of plays.
        items: Their track codes.
        shape: Users and tracks there are.
    """

    def __init__(
        self, users: NDArray[np.integer], items: NDArray[np.integer], shape: tuple[int, int]
    ) -> None:
        self.shape = shape
        self.keys: Ints = np.unique(users.astype(np.int64) * shape[1] + items.astype(np.int64))
        owners = self.keys // shape[1]
        self.items = self.keys - owners * shape[1]
        self.offsets = np.searchsorted(owners, np.arange(shape[0] + 1))

    def contains(self, users: Ints, items: Ints) -> NDArray[np.bool_]:
        """Return where a user is known to have played an item; the two broadcast against each other."""
        wanted = users * self.shape[1] + items
        if not len(self.keys):
            return np.zeros(wanted.shape, np.bool_)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.asarray(self.keys[places] == wanted)

    def in_columns(self, users: Ints, columns: Ints) -> NDArray[np.bool_]:
        """Return, (users, columns), where a user is known to have played the item of a column.

        Walks over the users' plays, not over the pairs: what a batch asks at every step.
        """
        unique, inverse = np.unique(columns, return_inverse=True)
        place = np.full(self.shape[1], -1, np.int32)
        place[unique] = np.arange(len(unique), dtype=np.int32)
        first, counts = self.offsets[users], self.offsets[users + 1] - self.offsets[users]
        rows = np.repeat(np.arange(len(users)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = place[self.items[np.repeat(first, counts) + within]]
        hits = found >= 0
        known = np.zeros((len(users), len(unique)), np.bool_)
        known[rows[hits], found[hits]] = True
        return np.take(known, inverse.reshape(-1), axis=1)


def draw_uniform(
    known: KnownPositives, users: Ints, candidates: Ints, count: int, generator: np.random.Generator
) -> tuple[Ints, NDArray[np.bool_]]:
    """Draw tracks evenly from those that each user is not known to have played.

    Args:
        known: Who played what.
        users: User codes, (n,).
        candidates: Tracks to draw from.
        count: Draws for each user.
        generator: Source of randomness.

    Returns:
        Track codes (n, count), and which of them are negatives: after a few tries a user who played nearly all
        is left with fewer.
    """
    drawn = candidates[generator.integers(0, len(candidates), (len(users), count))]
    bad = known.contains(users[:, None], drawn)
    for _ in range(_TRIES):
        rows, places = np.nonzero(bad)
        if not len(rows):
            break
        again = candidates[generator.integers(0, len(candidates), len(rows))]
        drawn[rows, places] = again
        bad[rows, places] = known.contains(users[rows], again)
    return drawn, ~bad


def log_offsets(
    counts: Ints, settings: NegativeSettings, batch: int, popularity: PopularityKind
) -> NDArray[np.float32]:
    """Return what is added to each track's logit in the training, so that the towers learn what they should.

    A track met as a negative with probability N(i) is learned as log P(i|user) / N(i). With popularity `learned`
    the towers are to learn log P(i|user), so −log N is added: the logQ correction. Otherwise they are to learn
    log P(i|user) / q(i), what its popularity q does not explain, so log q / N is added: nothing at all where
    negatives come from the batch.

    Args:
        counts: Plays of each track in the training, (tracks,).
        settings: Where negatives come from.
        batch: Plays in a step.
        popularity: What the towers learn of it.

    Returns:
        (tracks,), 0 for tracks without a play, which are never drawn.
    """
    played = counts > 0
    even = 1.0 / max(1, int(played.sum()))
    q = np.where(played, counts / max(1, int(counts.sum())), even)
    if settings.kind == "uniform":
        met = np.full(len(counts), even)
    else:
        met = (batch * q + settings.shared * even) / (batch + settings.shared)
    wanted = np.full(len(counts), even) if popularity == "learned" else q
    return np.where(played, np.log(wanted / met), 0.0).astype(np.float32)
