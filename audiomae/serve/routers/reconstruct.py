"""Blank and rebuild: what the model makes of a song with spans of it masked."""

from __future__ import annotations

from fastapi import APIRouter, Request

from audiomae.serve.answers import Json
from audiomae.serve.files import find_song
from audiomae.serve.part_schemas import RebuildAnswer, RebuildRequest
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["model"])


@router.post("/reconstruct", response_model=RebuildAnswer)
def reconstruct(request: Request, asked: RebuildRequest) -> Json:
    """Mask spans of one clip and rebuild them: pictures and sounds as data URLs."""
    state = state_of(request)
    song = state.snapshot.track(state.snapshot.row(asked.track_id))
    file = find_song(state.settings, song["path"])
    return Json(
        state.sounds.rebuild(
            file.path, asked.track_id, asked.start_seconds, asked.spans, asked.bands, asked.seed
        )
    )
