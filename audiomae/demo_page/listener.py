"""A simulated listener whose list the page shows, and why each song stands in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from audiomae.demo_page.contents import ListedSong, PageList
from audiomae.demo_page.words import describe_listener
from audiomae.recommend.serving.recommender import Recommender

__all__ = ["list_for_listener"]

PARTS = {"cosine": "sound and taste", "popularity": "popularity", "ranker": "second stage"}
"""Parts of a score, as a person reads them."""
SHOWN_PLAYED, SHOWN_BECAUSE = 5, 2


def list_for_listener(
    recommender: Recommender, tables: Path, track_ids: Sequence[str], *, k: int = 5
) -> PageList:
    """Make a list for a listener who has played about as much as others.

    Args:
        recommender: An open recommender.
        tables: Folder of the tables that it was trained on.
        track_ids: The collection, in order.
        k: Songs of the list.
    """
    plays = pq.read_table(tables / "interactions.parquet", columns=["user_id", "track_id"])
    counts = Counter(plays["user_id"].to_pylist())
    known = sorted((count, name) for name, count in counts.items())
    user = known[len(known) // 2][1]
    fields = {row["user_id"]: row for row in pq.read_table(tables / "users.parquet").to_pylist()}
    row_of = {name: row for row, name in enumerate(track_ids)}
    own = Counter(
        track
        for name, track in zip(plays["user_id"].to_pylist(), plays["track_id"].to_pylist(), strict=True)
        if name == user
    )
    return PageList(
        user,
        describe_listener(user, fields.get(user, {}), counts[user]),
        tuple((row_of[track], count) for track, count in own.most_common(SHOWN_PLAYED)),
        tuple(_explained(recommender, user, row_of, k)),
    )


def _explained(recommender: Recommender, user: str, row_of: dict[str, int], k: int) -> list[ListedSong]:
    found = []
    (listed,) = recommender.recommend(user, k=k)
    for song in listed.songs:
        why = recommender.explain(song.track_id, user, nearest=SHOWN_BECAUSE)
        added, shares = vars(why.parts), vars(why.shares)
        parts = [(PARTS[name], added[name], shares[name]) for name in PARTS if shares[name] > 0]
        near = [(row_of[heard.track_id], heard.cosine) for heard in why.nearest_heard]
        found.append(ListedSong(row_of[song.track_id], tuple(near), tuple(parts)))
    return found
