"""Playlists as files: M3U8 for players, CSV for tables."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from audiomae.serve.schemas import PlaylistRequest
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["collection"])

KINDS = {"m3u8": "audio/x-mpegurl", "csv": "text/csv"}
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in KINDS.values()}}}


@router.post("/playlists", response_class=Response, responses=FILE)
def playlist(request: Request, asked: PlaylistRequest) -> Response:
    """Return songs as a file to keep."""
    snapshot = state_of(request).snapshot
    text = snapshot.lists.playlist([snapshot.row(track) for track in asked.tracks], asked.format)
    name = f"{file_name(asked.name)}.{asked.format}"
    plain = (
        unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or f"playlist.{asked.format}"
    )
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    return Response(
        text.encode("utf-8", "replace"),
        media_type=f"{KINDS[asked.format]}; charset=utf-8",
        headers={"content-disposition": disposition},
    )


def file_name(name: str) -> str:
    """Return a name that every system takes for a file, and none for a path.

    Example:
        >>> file_name('../a/b "c"'), file_name("…")
        ('a b c', '…')
    """
    kept = re.sub(r"[^\w\s.,()'&+…-]", " ", name)
    return " ".join(kept.split()).strip(" .")[:80] or "playlist"
