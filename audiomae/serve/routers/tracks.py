"""The songs of the collection, their clips and their sound."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from audiomae.serve.answers import Json
from audiomae.serve.files import find_song, is_playable, send_file
from audiomae.serve.schemas import TrackDetails, TracksAnswer
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/tracks", tags=["collection"])


@router.get("", response_model=TracksAnswer)
def tracks(
    request: Request,
    query: Annotated[str, Query(max_length=500)] = "",
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
) -> Json:
    """List the songs whose title, artist, album or path hold every word of `query`."""
    snapshot = state_of(request).snapshot
    rows = snapshot.search(query)
    return Json({"total": len(rows), "tracks": snapshot.tracks(rows[offset : offset + limit])})


@router.get("/{track_id}", response_model=TrackDetails)
def track(request: Request, track_id: str) -> Json:
    """Say what is known of one song, and where its clips start."""
    state = state_of(request)
    snapshot = state.snapshot
    row = snapshot.row(track_id)
    starts = snapshot.clip_starts.get(track_id, [])
    clips = [{"clip_index": place, "start_seconds": start} for place, start in enumerate(starts)]
    song = snapshot.track(row)
    return Json({**song, "clips": clips, "playable": is_playable(state.settings, song["path"])})


@router.get("/{track_id}/audio")
def audio(request: Request, track_id: str) -> Response:
    """Send the song's file, or a range of it."""
    state = state_of(request)
    path = state.snapshot.track(state.snapshot.row(track_id))["path"]
    return send_file(find_song(state.settings, path), request.headers)
