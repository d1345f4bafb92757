"""What the service has open: the collection, and beside it a recommender, a model and runs, where they are named.

The collection is open when the service starts. What takes torch or LightGBM, whose imports take seconds, is opened
after that by a thread of its own, so that the page is there at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from fastapi import Request

from audiomae.disk.files import read_json
from audiomae.errors import AudiomaeError
from audiomae.serve.answers import RefusedError
from audiomae.serve.apart import Decoder
from audiomae.serve.batches import Batches
from audiomae.serve.ids import ServerIds
from audiomae.serve.metrics import Metrics
from audiomae.serve.runs import find_runs
from audiomae.serve.snapshot import Snapshot, stamp_of
from audiomae.verbs.serve import ServeSettings

if TYPE_CHECKING:
    from audiomae.serve.listeners import Listeners
    from audiomae.serve.projection import MapKeeper
    from audiomae.serve.sounds import Sounds

__all__ = ["ServeState", "state_of"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the folders are looked at."""


class ServeState:
    """What is open. `snapshot` is replaced as a whole when the folder changes; a request keeps the one it began with.

    Args:
        settings: Settings of the service.

    Raises:
        AudiomaeError: If a folder cannot be opened, or does not belong to the others.

    Attributes:
        snapshot: The collection.
        runs: Run folders by their names.
        ids: Under which ids a music server knows the songs.
        batches: What answers questions for similar songs.
        decoder: What decodes files, in processes of its own.
        metrics: The counters.
        notes: What could not be opened since the start, by the part.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.snapshot = Snapshot.open(settings.vectors)
        self.ids = ServerIds.read(settings.ids)
        self.runs = find_runs(settings.runs)
        if settings.recommender is not None:
            read_json(Path(settings.recommender) / "recommender.json")
        self.batches = Batches()
        self.decoder, self.metrics = Decoder(settings.decode_seconds), Metrics()
        self.notes: dict[str, str] = {}
        self._parts: dict[str, Any] = {}
        self._catalogue = self._catalogue_stamp()
        self._opening = threading.Lock()
        self.metrics.tracks.set(len(self.snapshot.row_of))

    @property
    def listeners(self) -> Listeners:
        """The recommender; the request is refused where none is named or it cannot be opened."""
        if self.settings.recommender is None:
            raise RefusedError(
                404, "no recommender is served. Start audiomae serve with --recommender FOLDER."
            )
        part: Listeners = self._part("recommender")
        return part

    @property
    def sounds(self) -> Sounds:
        """The model; the request is refused where none is named or it cannot be opened."""
        if self.settings.model is None:
            raise RefusedError(
                404, "no model is served. Start audiomae serve with --model tiny (or a run folder)."
            )
        part: Sounds = self._part("model")
        return part

    @property
    def maps(self) -> MapKeeper:
        """What makes and keeps the map."""
        part: MapKeeper = self._part("map")
        return part

    def about_listeners(self) -> dict[str, Any] | None:
        """Say what recommends; from its files alone until it is open."""
        if self.settings.recommender is None:
            return None
        if (opened := self._parts.get("recommender")) is not None:
            about: dict[str, Any] = opened.about()
            return about
        folder = Path(self.settings.recommender)
        counts = read_json(folder / "recommender.json").get("counts", {})
        fields = pq.read_schema(folder / "tables" / "users.parquet").names
        return {
            "users": counts.get("users", 0),
            "songs": counts.get("tracks", 0),
            "stages": 2 if (folder / "ranker").is_dir() else 1,
            "fields": [name for name in fields if name != "user_id"],
        }

    def parts(self) -> dict[str, bool]:
        """Return which of the parts that were named are open."""
        named = {"model": self.settings.model, "recommender": self.settings.recommender}
        return {name: name in self._parts for name, place in named.items() if place is not None}

    def _part(self, name: str) -> Any:
        """Return a part, opened at its first use."""
        if (part := self._parts.get(name)) is None:
            with self._opening:
                if (part := self._parts.get(name)) is None:
                    try:
                        part = self._open(name)
                    except AudiomaeError as error:
                        self.notes[name] = str(error)
                        raise RefusedError(503, str(error)) from None
                    self.notes.pop(name, None)
                    self._parts[name] = part
        return part

    def _open(self, name: str) -> Any:
        settings = self.settings
        if name == "recommender":
            late = import_module("audiomae.serve.listeners")
            return late.Listeners(settings.recommender, settings.interactions)
        if name == "model":
            return import_module("audiomae.serve.sounds").Sounds(
                settings.model, self.snapshot.vectors, self.decoder, settings.device
            )
        return import_module("audiomae.serve.projection").MapKeeper()

    def open_parts(self) -> None:
        """Open what is named and not open yet; what cannot be opened is said in the log and at `/ready`."""
        for name in self.parts():
            try:
                self._part(name)
            except RefusedError as error:
                log.warning("%s", error)

    def refresh(self) -> bool:
        """Open anew what has changed on disk; what cannot be opened leaves what was open before.

        Returns:
            Whether the collection is another one now.
        """
        if (stamp := self._catalogue_stamp()) != self._catalogue and "recommender" in self._parts:
            self._catalogue = stamp
            self._replace("recommender")
        stamp_now = stamp_of(self.settings.vectors)
        if stamp_now is None or stamp_now == self.snapshot.stamp:
            return False
        try:
            fresh = Snapshot.open(self.settings.vectors)
            fresh.warm()
        except AudiomaeError as error:
            self._note("vectors", str(error))
            return False
        before, self.snapshot = self.snapshot, fresh
        self.notes.pop("vectors", None)
        self.metrics.reloads.inc()
        self.metrics.tracks.set(len(fresh.row_of))
        if "model" in self._parts and before.vectors.meta["fingerprint"] != fresh.vectors.meta["fingerprint"]:
            self._replace("model")
        log.info("%s: %d tracks, opened anew", self.settings.vectors, len(fresh.row_of))
        return True

    def _replace(self, name: str) -> None:
        try:
            self._parts[name] = self._open(name)
            self.notes.pop(name, None)
        except AudiomaeError as error:
            self._note(name, str(error))

    def _note(self, name: str, line: str) -> None:
        if self.notes.get(name) != line:
            log.warning("%s What was open before is still served.", line)
        self.notes[name] = line

    def _catalogue_stamp(self) -> tuple[int, int] | None:
        """Return what changes whenever the recommender's catalogue is another."""
        if self.settings.recommender is None:
            return None
        try:
            status = (Path(self.settings.recommender) / "catalogue" / "catalogue.json").stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    async def watch(self) -> None:
        """Open the late parts, then look at the folders once a second, for as long as the service runs."""
        await asyncio.to_thread(self.snapshot.warm)
        await asyncio.to_thread(self.open_parts)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                log.exception("looking for changes failed; it is tried again")

    def close(self) -> None:
        """End what runs beside the service."""
        self.batches.close()
        if (maps := self._parts.get("map")) is not None:
            maps.close()


def state_of(request: Request) -> ServeState:
    """Return the state that the app of a request was made with."""
    state: ServeState = request.app.state.serve
    return state
