"""The service as one ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from audiomae.serve.answers import answer_errors
from audiomae.serve.routers import about, health, similar, tracks
from audiomae.serve.state import ServeState
from audiomae.verbs.serve import SETTINGS_VARIABLE, ServeSettings

__all__ = ["app_of_worker", "make_app", "make_app_of"]

PAGE = Path(__file__).parent / "page"
ROUTERS = (about, health, similar, tracks)


def make_app(settings: ServeSettings) -> FastAPI:
    """Open what the settings name and return the app that serves it.

    Raises:
        AudiomaeError: If something cannot be opened.
    """
    return make_app_of(ServeState.open(settings))


def app_of_worker() -> FastAPI:
    """Return the app of a worker process, which finds its settings in the environment."""
    values = json.loads(os.environ[SETTINGS_VARIABLE])
    values["runs"] = values["runs"] if isinstance(values["runs"], str) else tuple(values["runs"])
    return make_app(ServeSettings(**values))


def make_app_of(state: ServeState) -> FastAPI:
    """Return the app that serves an open state."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(state.watch())
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    app = FastAPI(
        title="audiomae", version=version("audiomae"), lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.serve = state
    answer_errors(app)
    for router in ROUTERS:
        app.include_router(router.router)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app
