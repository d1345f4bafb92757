"""Songs that are like others, paths between two, radios, and why two songs are alike."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from audiomae.serve.answers import Json
from audiomae.serve.schemas import (
    PathRequest,
    RadioRequest,
    Rules,
    SimilarAnswer,
    SimilarityAnswer,
    SimilarRequest,
    SongsAnswer,
)
from audiomae.serve.state import ServeState, state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["similar"])


@router.post("/similar", response_model=SimilarAnswer)
def similar(request: Request, asked: SimilarRequest) -> Json:
    """Find the songs most like some, and not like others."""
    return find(state_of(request), asked)


@router.get("/similar", response_model=SimilarAnswer)
def similar_by_query(
    request: Request,
    like: Annotated[list[str], Query(min_length=1, max_length=1000)],
    k: Annotated[int, Query(ge=1, le=100_000)] = 10,
) -> Json:
    """Find the songs most like some."""
    return find(state_of(request), SimilarRequest(like=like, k=k))


@router.get("/similar/explain", response_model=SimilarityAnswer)
def explain(
    request: Request,
    one: Annotated[str, Query(min_length=1, max_length=4096)],
    other: Annotated[str, Query(min_length=1, max_length=4096)],
) -> Json:
    """Say in what two songs are alike, and at which seconds of both."""
    snapshot = state_of(request).snapshot
    found = snapshot.lists.explain(snapshot.find(one), snapshot.find(other))
    factors = {share.factor: share.cosine for share in found.factors}
    nearer = {share.factor: share.nearer_than for share in found.factors}
    return Json(
        {
            "one": found.one,
            "other": found.other,
            "cosine": found.cosine,
            "factors": factors,
            "nearer_than": nearer,
            "moments": found.moments,
            "clip_seconds": found.clip_seconds,
        }
    )


@router.post("/path", response_model=SongsAnswer)
def path(request: Request, asked: PathRequest) -> Json:
    """Find songs that lead from one to another in small steps."""
    snapshot = state_of(request).snapshot
    start, end = snapshot.find(asked.start), snapshot.find(asked.end)
    return Json({"songs": snapshot.lists.path(start, end, asked.steps, rules=asked)})


@router.post("/radio", response_model=SongsAnswer)
def radio(request: Request, asked: RadioRequest) -> Json:
    """Play a radio that goes on from some songs."""
    state = state_of(request)
    snapshot = state.snapshot
    like, unlike = ([snapshot.find(name) for name in names] for names in (asked.like, asked.unlike))
    rules = bounded(state, asked)
    songs = snapshot.lists.radio(like, unlike, diversity=asked.diversity, seed=asked.seed, rules=rules)
    return Json({"songs": songs})


def find(state: ServeState, asked: SimilarRequest) -> Json:
    """Answer a request for similar songs."""
    snapshot = state.snapshot
    like, unlike = ([snapshot.find(name) for name in names] for names in (asked.like, asked.unlike))
    songs = snapshot.lists.similar(like, unlike, rules=bounded(state, asked), by=asked.by, hubs=asked.hubs)
    return Json({"like": snapshot.tracks(like), "unlike": snapshot.tracks(unlike), "songs": songs})


def bounded(state: ServeState, asked: Rules) -> Rules:
    """Return rules whose list is no longer than the service makes any."""
    most = state.settings.most_songs
    return asked if asked.k <= most else asked.model_copy(update={"k": most})
