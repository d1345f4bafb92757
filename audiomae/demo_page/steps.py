"""Which step is under way, and how long each took."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StepClock"]

logger = logging.getLogger(__name__)


class StepClock:
    """Tells the log which step begins and keeps how long each took.

    Attributes:
        seconds: Name of a step → seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step, if it ends well."""
        logger.info("— %s", name)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)
