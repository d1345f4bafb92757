"""How long work says how far it is, without knowing who listens: a terminal, a log file, a web page or nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["SILENT", "Progress", "Stage"]


class Stage(Protocol):
    """One piece of work that is under way."""

    def advance(self, amount: float = 1) -> None:
        """Say that some more is done, in the stage's unit."""

    def update(self, done: float, note: str = "") -> None:
        """Say how much is done in all, in the stage's unit, with a few words beside it."""


class Progress(Protocol):
    """Somebody who is told of stages."""

    def stage(
        self, name: str, *, total: float | None, unit: str = "", done: float = 0
    ) -> AbstractContextManager[Stage]:
        """Begin a stage; it ends with the block.

        Args:
            name: What is done, such as "embedding".
            total: How much there is to do, in `unit`; None where nobody knows.
            unit: What is counted, such as "clips"; empty for a share from 0 to 1.
            done: How much an earlier session has done.
        """


class _Silent:
    def advance(self, amount: float = 1) -> None:
        """Tell nobody."""

    def update(self, done: float, note: str = "") -> None:
        """Tell nobody."""

    def stage(
        self,
        name: str,  # noqa: ARG002
        *,
        total: float | None,  # noqa: ARG002
        unit: str = "",  # noqa: ARG002
        done: float = 0,  # noqa: ARG002
    ) -> AbstractContextManager[Stage]:
        """Return a stage that tells nobody."""
        return nullcontext(self)


SILENT: Progress = _Silent()
"""Tells nobody."""
