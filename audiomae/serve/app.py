"""The service as one ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from audiomae.serve.answers import answer_errors
from audiomae.serve.limits import BodyLimit
from audiomae.serve.metrics import Observed
from audiomae.serve.routers import (
    about,
    audiomuse,
    docs,
    embed,
    health,
    map,
    playlists,
    recommend,
    reconstruct,
    runs,
    similar,
    subsonic,
    tracks,
)
from audiomae.serve.schemas import Failure
from audiomae.serve.security import Gate
from audiomae.serve.state import ServeState
from audiomae.verbs.serve import SETTINGS_VARIABLE, ServeSettings

__all__ = [
    "app_of_worker",
    "make_app",
]

PAGE = Path(__file__).parent / "page"
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter from the loop that answers, in seconds; Python's own 0.005 is felt."""
ROUTERS = (
    about,
    tracks,
    similar,
    playlists,
    embed,
    reconstruct,
    recommend,
    map,
    runs,
    audiomuse,
    subsonic,
    health,
    docs,
)
FAILURES = {status: {"model": Failure} for status in (401, 403, 404, 409, 413, 422, 503)}


def make_app(settings: ServeSettings) -> FastAPI:
    """Open what the settings name and return the app that serves it.

    Raises:
        AudiomaeError: If something cannot be opened.
    """
    state = ServeState(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_SECONDS)
        watching = asyncio.create_task(state.watch())
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        state.close()

    app = FastAPI(
        title="audiomae",
        version=version("audiomae"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=FAILURES,  # type: ignore[arg-type]
    )
    app.state.serve = state
    answer_errors(app)
    for router in ROUTERS:
        app.include_router(router.router)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    app.add_middleware(BodyLimit, settings=settings, uploads=embed.UPLOADS)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Observed, metrics=state.metrics, access_log=settings.access_log)
    return app


def app_of_worker() -> FastAPI:
    """Return the app of a worker process, which finds its settings in the environment."""
    values = json.loads(os.environ[SETTINGS_VARIABLE])
    values["runs"] = values["runs"] if isinstance(values["runs"], str) else tuple(values["runs"])
    return make_app(ServeSettings(**values))
