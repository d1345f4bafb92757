"""Questions for similar songs that come at about the same time, answered by one matrix product.

One product of sixteen queries with a hundred thousand songs takes little longer than one of four, as the songs are read
from memory once. So a question waits, if at all, for the batch before it, never for others to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from audiomae.serve.schemas import Rules
from audiomae.serve.snapshot import Snapshot

__all__ = [
    "Batches",
    "Question",
]

MOST = 16
"""Questions of one product."""


class Question(NamedTuple):
    """What songs are asked for."""

    snapshot: Snapshot
    """The collection that it is asked about."""
    like: list[int]
    """Rows to start from."""
    unlike: list[int]
    """Rows to stay away from."""
    rules: Rules
    """What the list keeps to."""
    hubs: bool = True
    """Whether hubs are corrected."""


class Batches:
    """Answers questions in a thread of its own, those that wait together at once."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "similar")
        self._waiting: list[tuple[Question, asyncio.Future[bytes]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def answer(self, question: Question) -> bytes:
        """Return the answer as JSON.

        Raises:
            AudiomaeError: If a rule or a song does not fit.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not None and loop is not self._loop and self._task is not None:
            (found,) = await loop.run_in_executor(self._thread, answer_all, [question])
            return _or_raise(found)
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._loop, self._task = loop, loop.create_task(self._drain(loop))
        return await future

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waits until nothing does."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                found = await loop.run_in_executor(self._thread, answer_all, [one for one, _ in batch])
                for (_, future), answer in zip(batch, found, strict=True):
                    if future.cancelled():
                        continue
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        finally:
            self._task = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def answer_all(questions: Sequence[Question]) -> list[bytes | Exception]:
    """Return an answer, or what is wrong, for each question, in order."""
    found: list[bytes | Exception] = [RuntimeError("not answered")] * len(questions)
    snapshots = {id(question.snapshot): question.snapshot for question in questions}
    for key, snapshot in snapshots.items():
        places = [place for place, question in enumerate(questions) if id(question.snapshot) == key]
        try:
            answers: list[Any] = snapshot.lists.similar_to_many([questions[place] for place in places])
        except Exception as error:  # noqa: BLE001 - each question's own request says what is wrong
            answers = [error] * len(places)
        for place, answer in zip(places, answers, strict=True):
            found[place] = answer
    return found


def _or_raise(found: bytes | Exception) -> bytes:
    if isinstance(found, Exception):
        raise found
    return found
