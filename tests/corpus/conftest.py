"""What tests of the preparing pipeline share."""

from __future__ import annotations

import pytest

from audiomae.corpus import build as pipeline
from audiomae.corpus import pool
from audiomae.errors import StorageError


@pytest.fixture
def alone(monkeypatch) -> None:
    """Songs are prepared in the process that asks for it, so that one kill ends all."""

    def in_order(jobs, _, mel, limits):
        for number, job in enumerate(jobs):
            result = pool.attempt(job.path, job.mels, mel, limits)
            if "storage" in result:
                raise StorageError(result["storage"])
            yield number, result

    monkeypatch.setattr(pipeline, "prepare_in_order", in_order)
