"""The requests that plug-ins of AudioMuse-AI send (Navidrome, Jellyfin, Lyrion …), answered from this collection.

A distance is 1 − cosine. `eliminate_duplicates` means at most three songs of an artist there, and so it does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from audiomae.serve.answers import Json, RefusedError
from audiomae.serve.part_schemas import MusePath, MuseSong
from audiomae.serve.schemas import Rules
from audiomae.serve.state import ServeState, state_of
from audiomae.vectors.similar import SimilarSong

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["AudioMuse-AI"])

PER_ARTIST = 3
"""Songs of an artist where duplicates are to be left out."""
Id = Annotated[str, Query(max_length=4096)]


@router.get("/similar_tracks", response_model=list[MuseSong])
def similar_tracks(
    request: Request,
    item_id: Id = "",
    title: Id = "",
    artist: Id = "",
    n: Annotated[int, Query(ge=1, le=100_000)] = 10,
    eliminate_duplicates: Annotated[str, Query(max_length=10)] = "true",
) -> Json:
    """Find the songs most like one, named by a music server's id, or by title and artist."""
    state = state_of(request)
    row = _row(state, item_id, title, artist)
    limited = eliminate_duplicates.lower() == "true"
    rules = Rules(k=min(n, state.settings.most_songs), per_artist=PER_ARTIST if limited else None)
    return Json(_songs(state, state.snapshot.lists.similar([row], rules=rules)))


@router.get("/find_path", response_model=MusePath)
def find_path(
    request: Request,
    start_song_id: Annotated[str, Query(min_length=1, max_length=4096)],
    end_song_id: Annotated[str, Query(min_length=1, max_length=4096)],
    max_steps: Annotated[int, Query(ge=2, le=200)] = 25,
) -> Json:
    """Find songs that lead from one to another; `max_steps` counts both ends."""
    state = state_of(request)
    snapshot = state.snapshot
    start, end = (state.ids.row(snapshot, one) for one in (start_song_id, end_song_id))
    songs = snapshot.lists.path(start, end, max_steps - 2, rules=Rules())
    path = _songs(state, songs)
    return Json({"path": path, "total_distance": round(sum(song["distance"] for song in path), 6)})


@router.get("/search_tracks", response_model=list[MuseSong])
def search_tracks(
    request: Request,
    search_query: Annotated[str, Query(max_length=500)] = "",
    title: Id = "",
    artist: Id = "",
    start: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    end: Annotated[int, Query(ge=0, le=1_000_000)] = 20,
) -> Json:
    """Find songs by words of their title, artist or album."""
    state = state_of(request)
    words = search_query or f"{artist} {title}".strip()
    rows = state.snapshot.search(words)[start : min(end, start + 500)] if words else []
    songs = state.snapshot.tracks(rows)
    names = [state.ids.name(song["track_id"], song["path"]) for song in songs]
    found = [
        _song(name, song["title"], song["artist"], song["album"])
        for name, song in zip(names, songs, strict=True)
        if name is not None
    ]
    return Json(found)


def _row(state: ServeState, item_id: str, title: str, artist: str) -> int:
    """Return the row of a song by id, or by title and artist.

    Raises:
        RefusedError: If none is named, or there is no such song.
    """
    if item_id:
        return state.ids.row(state.snapshot, item_id)
    if not title:
        raise RefusedError(400, "name a song: item_id=, or title= and artist=.")
    columns, wanted = state.snapshot.columns, (title.casefold(), artist.casefold())
    for row in state.snapshot.search(f"{title} {artist}"):
        if (str(columns["title"][row]).casefold(), str(columns["artist"][row]).casefold()) == wanted:
            return row
    raise RefusedError(404, f"there is no song {title[:100]!r} of {artist[:100]!r}.")


def _songs(state: ServeState, songs: Sequence[SimilarSong]) -> list[dict[str, Any]]:
    """Return songs as AudioMuse-AI writes them, without those that the server does not know."""
    found = []
    for song in songs:
        if (name := state.ids.name(song.track_id, song.path)) is not None:
            distance = round(max(0.0, 1.0 - song.cosine), 6)
            found.append({**_song(name, song.title, song.artist, song.album), "distance": distance})
    return found


def _song(name: str, title: str, artist: str, album: str) -> dict[str, Any]:
    return {"item_id": name, "title": title, "author": artist, "album": album or "unknown"}
