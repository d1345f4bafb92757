"""A file that is sent: its vector, and the songs that are like it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path, PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Request, UploadFile

from audiomae.serve.answers import Json
from audiomae.serve.schemas import EmbedAnswer, Rules
from audiomae.serve.state import ServeState, state_of

__all__ = ["UPLOADS", "router"]

router = APIRouter(prefix="/api", tags=["similar"])

UPLOADS = ("/api/embed",)
"""Paths that take a file."""


@router.post("/embed", response_model=EmbedAnswer)
async def embed(
    request: Request,
    file: Annotated[UploadFile, File(description="audio of any format that FFmpeg reads")],
    k: Annotated[int, Query(ge=1, le=100_000)] = 10,
) -> Json:
    """Embed a file as the collection was embedded, and find the songs most like it."""
    state = state_of(request)
    return Json(await asyncio.to_thread(embed_file, state, file, min(k, state.settings.most_songs)))


def embed_file(state: ServeState, file: UploadFile, k: int) -> dict[str, Any]:
    """Do the work of `embed`, in a thread."""
    sounds, snapshot = state.sounds, state.snapshot
    name = PurePath((file.filename or "").replace("\\", "/")).name[-100:] or "the file"
    with tempfile.TemporaryDirectory(prefix="audiomae-serve-") as folder:
        path = Path(folder) / "sent"  # nothing of the sender's name becomes a path
        with path.open("wb") as target:
            shutil.copyfileobj(file.file, target)
        seconds, vector = sounds.embed(path, name)
    songs = snapshot.lists.similar_to(vector, rules=Rules(k=k))
    return {"seconds": round(seconds, 2), "dim": len(vector), "vector": vector, "songs": songs}
