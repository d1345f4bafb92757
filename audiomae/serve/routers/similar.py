"""Songs that are like others, paths between two, radios, and why two songs are alike."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from audiomae.serve.answers import Json
from audiomae.serve.batches import Question
from audiomae.serve.schemas import (
    Name,
    PathRequest,
    RadioRequest,
    Rules,
    SimilarAnswer,
    SimilarityAnswer,
    SimilarRequest,
    SongsAnswer,
)
from audiomae.serve.snapshot import Snapshot
from audiomae.serve.state import ServeState, state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["similar"])


@router.post("/similar", response_model=SimilarAnswer)
async def similar(request: Request, asked: SimilarRequest) -> Response:
    """Find the songs most like some, and not like others."""
    return await find(state_of(request), asked)


@router.get("/similar", response_model=SimilarAnswer)
async def similar_by_query(
    request: Request,
    like: Annotated[list[Name], Query(min_length=1, max_length=1000)],
    k: Annotated[int, Query(ge=1, le=100_000)] = 10,
) -> Response:
    """Find the songs most like some."""
    return await find(state_of(request), SimilarRequest(like=like, k=k))


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


async def find(state: ServeState, asked: SimilarRequest) -> Response:
    """Answer a request for similar songs."""
    snapshot, rules = state.snapshot, bounded(state, asked)
    if all(name in snapshot.row_of for name in (*asked.like, *asked.unlike)):
        like, unlike = rows_of(snapshot, asked)
    else:  # a path or a title is looked for among all
        like, unlike = await asyncio.to_thread(rows_of, snapshot, asked)
    if asked.by is not None:
        return await asyncio.to_thread(find_by_factors, snapshot, asked, like, unlike, rules)
    answer = await state.batches.answer(Question(snapshot, like, unlike, rules, asked.hubs))
    return Response(answer, media_type="application/json")


def rows_of(snapshot: Snapshot, asked: SimilarRequest) -> tuple[list[int], list[int]]:
    """Return the rows of the songs that are named, without repeats."""
    return (
        list(dict.fromkeys(map(snapshot.find, asked.like))),
        list(dict.fromkeys(map(snapshot.find, asked.unlike))),
    )


def find_by_factors(
    snapshot: Snapshot, asked: SimilarRequest, like: list[int], unlike: list[int], rules: Rules
) -> Json:
    """Answer a request that weighs factors."""
    songs = snapshot.lists.similar(like, unlike, rules=rules, by=asked.by, hubs=asked.hubs)
    return Json({"like": snapshot.tracks(like), "unlike": snapshot.tracks(unlike), "songs": songs})


def bounded(state: ServeState, asked: Rules) -> Rules:
    """Return rules whose list is no longer than the service makes any."""
    most = state.settings.most_songs
    return asked if asked.k <= most else asked.model_copy(update={"k": most})
