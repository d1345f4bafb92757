"""What the service has open: the collection, and beside it a recommender, a model and runs, where they are named."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from audiomae.errors import AudiomaeError, FingerprintError, MissingError
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.recommend.ids import read_ids
from audiomae.recommend.serving.recommender import Recommender
from audiomae.serve.answers import RefusedError
from audiomae.serve.snapshot import Snapshot, stamp_of
from audiomae.verbs.serve import ServeSettings

__all__ = ["ServeState", "state_of"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often vectors.json is looked at."""


@dataclass
class ServeState:
    """What is open. `snapshot` is replaced as a whole when the folder changes; a request keeps the one it began with.

    Attributes:
        settings: Settings of the service.
        snapshot: The collection.
        recommender: Lists for users; None where none is named.
        embedder: The model of the vectors; None where none is named.
        runs: Run folders by their names.
    """

    settings: ServeSettings
    snapshot: Snapshot
    recommender: Recommender | None = None
    embedder: Embedder | None = None
    runs: dict[str, Path] = field(default_factory=dict)
    reload_error: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, settings: ServeSettings) -> ServeState:
        """Open everything that the settings name.

        Raises:
            AudiomaeError: If a part cannot be opened, or does not belong to the others.
        """
        snapshot = Snapshot.open(settings.vectors)
        recommender = None
        if settings.recommender is not None:
            recommender = Recommender.open(settings.recommender, later=settings.interactions)
        embedder = None if settings.model is None else _matching_model(settings.model, snapshot)
        return cls(settings, snapshot, recommender, embedder, _runs(read_ids(settings.runs)))

    def the_recommender(self) -> Recommender:
        """Return the recommender, or refuse the request."""
        if self.recommender is None:
            raise RefusedError(
                404, "no recommender is served. Start audiomae serve with --recommender FOLDER."
            )
        return self.recommender

    def the_embedder(self) -> Embedder:
        """Return the model, or refuse the request."""
        if self.embedder is None:
            raise RefusedError(
                404, "no model is served. Start audiomae serve with --model tiny (or a run folder)."
            )
        return self.embedder

    def refresh(self) -> bool:
        """Open the vectors anew if vectors.json is another one; what cannot be opened leaves the old state.

        Returns:
            Whether there is a new state.
        """
        stamp = stamp_of(self.settings.vectors)
        if stamp is None or stamp == self.snapshot.stamp:
            return False
        with self.lock:
            try:
                fresh = Snapshot.open(self.settings.vectors)
            except AudiomaeError as error:
                if str(error) != self.reload_error:
                    log.warning("%s What was open before is still served.", error)
                self.reload_error = str(error)
                return False
            self.snapshot, self.reload_error = fresh, ""
        log.info("%s: %d tracks, opened anew", self.settings.vectors, len(fresh.row_of))
        return True

    async def watch(self) -> None:
        """Look at the folder once a second, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.refresh)


def state_of(request: Request) -> ServeState:
    """Return the state that the app of a request was made with."""
    state: ServeState = request.app.state.serve
    return state


def _runs(folders: list[str]) -> dict[str, Path]:
    """Return run folders by their names; two of one name get the name of the folder above in front."""
    found: dict[str, Path] = {}
    for folder in folders:
        path = Path(folder)
        if not (path / "run.json").is_file():
            raise MissingError(
                f"{path}: is no run folder (no run.json). Name one that audiomae pretrain made."
            )
        name = path.resolve().name
        found[name if name not in found else f"{path.resolve().parent.name}-{name}"] = path
    return found


def _matching_model(name: str, snapshot: Snapshot) -> Embedder:
    """Return the model that the vectors were made with, reading as they were."""
    meta, folder = snapshot.vectors.meta, snapshot.vectors.folder
    embedder = load(name)
    if embedder.fingerprint != meta["model_fingerprint"]:
        raise FingerprintError(
            f"{folder}: was made with model {meta['model_fingerprint']}, but {name} is {embedder.fingerprint}. Name "
            "the model that made the vectors, or export them again."
        )
    whitening = Whitening.load(folder / "whitening.safetensors") if meta["whiten"] else None
    return embedder.with_pooling(layer=meta["layer"], pool=meta["pool"], whiten=whitening)
