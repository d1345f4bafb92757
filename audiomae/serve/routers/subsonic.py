"""OpenSubsonic's `sonicSimilarity` extension, version 1, and the few requests that clients begin with.

A player, or a server beside this one, asks `/rest/getSonicSimilarTracks` and `/rest/findSonicPath` here as it would ask
Navidrome. Source: the OpenSubsonic API (opensubsonic.netlify.app), as of July 2026.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import Response

from audiomae.errors import AudiomaeError, ConfigError
from audiomae.serve.answers import status_of
from audiomae.serve.schemas import Rules
from audiomae.serve.state import ServeState, state_of
from audiomae.serve.subsonic import FailedError, check_user, child_of, envelope, number_of
from audiomae.vectors.similar import SimilarSong

__all__ = ["router"]

router = APIRouter(prefix="/rest", tags=["OpenSubsonic"])

Values = Mapping[str, str]
EXTENSIONS = [
    {"name": name, "versions": [1]} for name in ("apiKeyAuthentication", "formPost", "sonicSimilarity")
]
LICENSE = {"license": {"valid": True}}
UNKNOWN = "0"
"""Id of what has no id here."""


@router.get("/{name}", response_class=Response, operation_id="subsonic_get")
@router.post("/{name}", response_class=Response, operation_id="subsonic_post")
async def answer(request: Request, name: str) -> Response:
    """Answer a request of an OpenSubsonic client: XML, or JSON with `f=json`; errors come with status 200."""
    values = dict(request.query_params)
    if request.method == "POST":
        values |= dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    form = values.get("f", "xml")
    return await asyncio.to_thread(answer_values, state_of(request), name.removesuffix(".view"), values, form)


def answer_values(state: ServeState, name: str, values: Values, form: str) -> Response:
    """Do the work of `answer`, in a thread."""
    try:
        if form not in ("xml", "json"):
            raise FailedError(0, "f is xml or json here.")
        if name not in ANSWERS:
            raise FailedError(0, f"{name[:50]} is not answered here; there are {', '.join(ANSWERS)}.")
        if name != "getOpenSubsonicExtensions":  # which must be answered to anybody
            check_user(values, state.settings.secret)
        return envelope(ANSWERS[name](state, values), form)
    except FailedError as error:
        return envelope({"error": {"code": error.code, "message": str(error)}}, form, failed=True)
    except AudiomaeError as error:
        code = 70 if status_of(error) == 404 else 10 if isinstance(error, ConfigError) else 0
        return envelope({"error": {"code": code, "message": str(error)}}, form, failed=True)


def similar_tracks(state: ServeState, values: Values) -> dict[str, Any]:
    """Answer getSonicSimilarTracks."""
    row, count = _song(state, values, "id"), number_of(values, "count", 10, state.settings.most_songs)
    songs = state.snapshot.lists.similar([row], rules=Rules(k=count)) if count else []
    return {"sonicMatch": _matches(state, songs, [song.cosine for song in songs])}


def sonic_path(state: ServeState, values: Values) -> dict[str, Any]:
    """Answer findSonicPath: each song with its likeness to the first."""
    start, end = _song(state, values, "startSongId"), _song(state, values, "endSongId")
    count = number_of(values, "count", 25, 200)
    lists = state.snapshot.lists
    songs = lists.path(start, end, max(0, count - 2), rules=Rules())
    rows = [state.snapshot.row(song.track_id) for song in songs]
    return {"sonicMatch": _matches(state, songs, lists.cosines(start, rows))}


def similar_songs(key: str) -> Callable[[ServeState, Values], dict[str, Any]]:
    """Return what answers getSimilarSongs, which older clients ask; `key` is the name of the list."""

    def answered(state: ServeState, values: Values) -> dict[str, Any]:
        row, count = _song(state, values, "id"), number_of(values, "count", 50, state.settings.most_songs)
        songs = state.snapshot.lists.similar([row], rules=Rules(k=count)) if count else []
        return {key: {"song": [match["entry"] for match in _matches(state, songs, [0.0] * len(songs))]}}

    return answered


def song(state: ServeState, values: Values) -> dict[str, Any]:
    """Answer getSong."""
    found = state.snapshot.track(_song(state, values, "id"))
    return {"song": child_of(values["id"], found)}


ANSWERS: dict[str, Callable[[ServeState, Values], dict[str, Any]]] = {
    "ping": lambda *_: {},
    "getLicense": lambda *_: LICENSE,
    "getOpenSubsonicExtensions": lambda *_: {"openSubsonicExtensions": EXTENSIONS},
    "tokenInfo": lambda *_: {"tokenInfo": {"username": "audiomae"}},
    "getMusicFolders": lambda *_: {"musicFolders": {"musicFolder": [{"id": UNKNOWN, "name": "audiomae"}]}},
    "getSong": song,
    "getSimilarSongs": similar_songs("similarSongs"),
    "getSimilarSongs2": similar_songs("similarSongs2"),
    "getSonicSimilarTracks": similar_tracks,
    "findSonicPath": sonic_path,
}
"""What is answered, by name."""


def _song(state: ServeState, values: Values, name: str) -> int:
    """Return the row of the song that a parameter names."""
    if not values.get(name):
        raise FailedError(10, f"required parameter {name} is missing.")
    return state.ids.row(state.snapshot, values[name])


def _matches(
    state: ServeState, songs: Sequence[SimilarSong], cosines: Sequence[float]
) -> list[dict[str, Any]]:
    """Return songs as sonicMatch entries, without those that the music server does not know; below 0 is 0."""
    found = []
    for one, cosine in zip(songs, cosines, strict=True):
        if (name := state.ids.name(one.track_id, one.path)) is not None:
            likeness = round(min(1.0, max(0.0, cosine)), 6)
            found.append({"entry": child_of(name, vars(one)), "similarity": likeness})
    return found
