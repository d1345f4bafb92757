"""Songs that are like others."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from audiomae.serve.answers import Json
from audiomae.serve.schemas import SimilarAnswer, SimilarRequest
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["similar"])


@router.post("/similar", response_model=SimilarAnswer)
def similar(request: Request, asked: SimilarRequest) -> Json:
    """Find the songs most like some, and not like others."""
    return find(request, asked)


@router.get("/similar", response_model=SimilarAnswer)
def similar_by_query(
    request: Request,
    like: Annotated[list[str], Query(min_length=1, max_length=1000)],
    k: Annotated[int, Query(ge=1, le=100_000)] = 10,
) -> Json:
    """Find the songs most like some."""
    return find(request, SimilarRequest(like=like, k=k))


def find(request: Request, asked: SimilarRequest) -> Json:
    """Answer a request for similar songs."""
    state = state_of(request)
    snapshot = state.snapshot
    rows = [snapshot.vectors.find(name) for name in asked.like]
    songs = snapshot.vectors.similar(asked.like[0], k=asked.k)
    return Json({"like": snapshot.tracks(rows), "unlike": [], "songs": songs})
