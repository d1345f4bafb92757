"""What an earlier demo trained and no longer fits, because songs or settings have changed: kept aside, trained anew."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from audiomae.disk.files import read_json
from audiomae.errors import MissingError, OtherRunError

__all__ = ["train_or_renew", "was_trained_on"]

logger = logging.getLogger(__name__)

Trained = TypeVar("Trained")


def train_or_renew(folder: Path, train: Callable[[], Trained]) -> Trained:
    """Train into a folder; one that was begun for something else is renamed to NAME-before first, and this is said.

    Args:
        folder: Where the training lies, or will.
        train: Trains there.
    """
    try:
        return train()
    except OtherRunError:
        aside = folder.with_name(f"{folder.name}-before")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        logger.info("%s: was made of other songs or settings; kept as %s and trained anew", folder, aside)
    return train()


def was_trained_on(run: Path, corpus_fingerprint: str) -> bool:
    """Return whether a finished run of `pretrain` lies in a folder, trained on this corpus."""
    try:
        said = read_json(run / "run.json")
    except MissingError:
        return False
    trained_on = said.get("settings", {}).get("corpus_fingerprint")
    return (run / "result.json").exists() and trained_on == corpus_fingerprint
