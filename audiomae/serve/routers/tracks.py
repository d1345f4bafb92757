"""The songs of the collection, their clips, their sound and their picture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from audiomae.serve.answers import Json
from audiomae.serve.files import find_song, is_playable, send_file
from audiomae.serve.schemas import TrackDetails, TracksAnswer
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/tracks", tags=["collection"])

WAV_RATE = 44_100
"""Sample rate of what is decoded for browsers, in Hz."""
SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/*": {}}},
    206: {"content": {"audio/*": {}}},
}
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}

Start = Annotated[float, Query(ge=0, le=86_400, description="where the part starts, in seconds")]


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
    song = snapshot.track(snapshot.row(track_id))
    starts = snapshot.clip_starts.get(track_id, [])
    clips = [{"clip_index": place, "start_seconds": start} for place, start in enumerate(starts)]
    return Json({**song, "clips": clips, "playable": is_playable(state.settings, song["path"])})


@router.get("/{track_id}/audio", response_class=Response, responses=SOUND)
def audio(
    request: Request,
    track_id: str,
    form: Annotated[Literal["file", "wav"], Query(alias="as")] = "file",
    start: Start = 0,
    seconds: Annotated[float, Query(gt=0, le=60)] = 60,
) -> Response:
    """Send the song's file, or a range of it; a part of it as WAV with `as=wav`, or where no browser plays the file."""
    state = state_of(request)
    song = find_song(state.settings, state.snapshot.track(state.snapshot.row(track_id))["path"])
    if form == "file" and song.kind:
        return send_file(song, request.headers)
    with tempfile.TemporaryDirectory(prefix="audiomae-serve-") as folder:
        wav = Path(folder) / "part.wav"
        state.decoder.decode(
            song.path, wav, WAV_RATE, start_seconds=start, seconds=seconds, subtype="PCM_16", name=track_id
        )
        return Response(
            wav.read_bytes(), media_type="audio/wav", headers={"cache-control": "private, no-cache"}
        )


@router.get("/{track_id}/mel.png", response_class=Response, responses=PICTURE)
def mel_picture(
    request: Request,
    track_id: str,
    start: Start = 0,
    seconds: Annotated[float, Query(gt=0, le=120)] = 30,
) -> Response:
    """Draw a part of the song's log-mel, a pixel a frame (10 ms) and band."""
    state = state_of(request)
    song = find_song(state.settings, state.snapshot.track(state.snapshot.row(track_id))["path"])
    return Response(state.sounds.picture(song.path, track_id, start, seconds), media_type="image/png")
