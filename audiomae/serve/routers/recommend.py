"""Lists for users, and why a song is in one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from audiomae.serve.answers import Json
from audiomae.serve.part_schemas import ExplainRequest, RecommendAnswer, RecommendRequest, UsersAnswer
from audiomae.serve.snapshot import fold
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["recommender"])


@router.post("/recommend", response_model=RecommendAnswer)
def recommend(request: Request, asked: RecommendRequest) -> Json:
    """Make a list for a user, known or new, and beside it the songs that are played most."""
    state = state_of(request)
    k = min(asked.k, state.settings.most_songs)
    rules = (k, asked.per_artist, min(asked.unplayed, k), asked.where, asked.heard)
    return Json(state.listeners.recommend(asked.user, asked.new, asked.liked, rules, ranker=asked.ranker))


@router.post("/recommend/explain")
def explain(request: Request, asked: ExplainRequest) -> Json:
    """Say what a song's score is made of for one user."""
    listeners = state_of(request).listeners
    return Json(listeners.explain(asked.user, asked.new, asked.liked, asked.track, ranker=asked.ranker))


@router.get("/users", response_model=UsersAnswer)
def users(
    request: Request,
    query: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
) -> Json:
    """List the users whose id holds `query`."""
    names, wanted = state_of(request).listeners.names, fold(query.strip())
    found = [name for name in names if wanted in fold(name)] if wanted else names
    return Json({"total": len(found), "users": found[:limit]})
