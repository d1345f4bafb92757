"""Lists of similar songs: requests in, what `audiomae.similarity` answers out.

Imported late: the model behind a collection brings torch. Songs come as rows of the collection, never as the names that
somebody sent: on the command line a name may be a file, and no request opens one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from audiomae.errors import AudiomaeError
from audiomae.serve.schemas import Rules
from audiomae.similarity.collection import Collection
from audiomae.similarity.explanation import SimilarityExplanation, explain_similarity
from audiomae.similarity.paths import find_path
from audiomae.similarity.playlists import playlist_text
from audiomae.similarity.query import Examples, query_of
from audiomae.similarity.radio import play_radio
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import choose_songs, rank_similar
from audiomae.vectors.search import unit_rows
from audiomae.vectors.similar import SimilarSong
from audiomae.vectors.vectors import Vectors

if TYPE_CHECKING:
    from audiomae.serve.batches import Question

__all__ = ["Lists"]


class Lists:
    """A collection, ready to be asked.

    Args:
        vectors: The open folder.
    """

    def __init__(self, vectors: Vectors) -> None:
        self.collection = Collection(vectors)
        self.ids = self.collection.track_ids
        # A product of a few queries with rows that lie side by side takes half the time of one with rows as they are.
        self.columns = np.ascontiguousarray(self.collection.vectors.space.units.T)

    @property
    def factors(self) -> list[str]:
        """What songs can be compared by."""
        return self.collection.factors

    def similar(
        self,
        like: Sequence[int],
        unlike: Sequence[int] = (),
        *,
        rules: Rules,
        by: Mapping[str, float] | None = None,
        hubs: bool = True,
    ) -> list[SimilarSong]:
        """Return the songs most like some rows, and not like others."""
        return rank_similar(
            self.collection,
            self._examples(like),
            self._examples(unlike),
            rules=rules_of(rules),
            by=by,
            hubs=hubs,
        )

    def similar_to_many(self, questions: Sequence[Question]) -> list[bytes | AudiomaeError]:
        """Answer questions by one product: the same lists as `similar` makes, as JSON; what is wrong as an error."""
        space = self.collection.vectors.space
        queries = np.stack(
            [
                query_of(self.collection, self._examples(one.like), self._examples(one.unlike))
                for one in questions
            ]
        )
        found: list[bytes | AudiomaeError] = []
        cosines_of_all = unit_rows(queries) @ self.columns
        np.clip(cosines_of_all, -1.0, 1.0, out=cosines_of_all)
        for one, cosines in zip(questions, cosines_of_all, strict=True):
            scores = space.scores(cosines) if one.hubs else cosines
            try:
                rows = choose_songs(
                    self.collection, [*one.like, *one.unlike], rules_of(one.rules), cosines, scores
                )
            except AudiomaeError as error:
                found.append(error)
                continue
            snapshot = one.snapshot
            songs = [
                {
                    **snapshot.track(row),
                    "cosine": round(float(cosines[row]), 6),
                    "score": round(float(scores[row]), 6),
                }
                for row in rows
            ]
            answer = {
                "like": snapshot.tracks(one.like),
                "unlike": snapshot.tracks(one.unlike),
                "songs": songs,
            }
            found.append(orjson.dumps(answer))
        return found

    def similar_to(self, vector: NDArray[np.float32], *, rules: Rules) -> list[SimilarSong]:
        """Return the songs most like a vector that was made as the collection's were, (dim,)."""
        sent = Examples([], [vector], ["the file"])
        return rank_similar(self.collection, sent, self._examples(()), rules=rules_of(rules))

    def path(self, start: int, end: int, steps: int, *, rules: Rules) -> list[SimilarSong]:
        """Return songs that lead from one row to another, both included."""
        return find_path(self.collection, self.ids[start], self.ids[end], steps, rules=rules_of(rules))

    def cosines(self, row: int, others: Sequence[int]) -> list[float]:
        """Return how near some rows are to one, in [-1, 1]."""
        units = self.collection.vectors.space.units
        found: list[float] = np.clip(units[list(others)] @ units[row], -1, 1).tolist()
        return found

    def radio(
        self,
        like: Sequence[int],
        unlike: Sequence[int],
        *,
        diversity: float,
        seed: int,
        rules: Rules,
    ) -> list[SimilarSong]:
        """Return the next songs of a radio."""
        return play_radio(
            self.collection,
            [self.ids[row] for row in like],
            [self.ids[row] for row in unlike],
            k=rules.k,
            diversity=diversity,
            seed=seed,
            rules=rules_of(rules),
        )

    def explain(self, one: int, other: int) -> SimilarityExplanation:
        """Say in what two rows are alike, and where."""
        return explain_similarity(self.collection, self.ids[one], self.ids[other])

    def playlist(self, rows: Sequence[int], kind: Literal["m3u8", "csv"]) -> str:
        """Return rows as the text of a playlist."""
        ones = np.ones(len(rows))
        return playlist_text(self.collection.songs(list(rows), ones, ones), kind)

    def _examples(self, rows: Sequence[int]) -> Examples:
        return Examples(list(dict.fromkeys(rows)), [], [self.ids[row] for row in dict.fromkeys(rows)])


def rules_of(asked: Rules) -> SongRules:
    """Return the core's rules for those of a request."""
    values: dict[str, Any] = {name: getattr(asked, name) for name in Rules.model_fields}
    values["key"] = tuple(part.strip() for part in (asked.key or "").split(",") if part.strip())
    return SongRules(**values)
