"""What is served: `/api/about`."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request

from audiomae.corpus.measured import FACTORS
from audiomae.corpus.song import TAGS
from audiomae.serve.answers import Json
from audiomae.serve.schemas import About
from audiomae.serve.state import state_of

__all__ = ["router"]


router = APIRouter(prefix="/api", tags=["collection"])


@router.get("/about", response_model=About)
def about(request: Request) -> Json:
    """Say what is served."""
    state = state_of(request)
    vectors = state.snapshot.vectors
    there = vectors.tracks.column_names
    return Json(
        {
            "version": version("audiomae"),
            "tracks": vectors.tracks.num_rows,
            "dim": vectors.dim,
            "clip_seconds": vectors.meta.get("clip_seconds"),
            "hop_seconds": vectors.meta.get("hop_seconds"),
            "model": state.settings.model,
            "columns": [name for name in (*TAGS, "seconds") if name in there],
            "factors": ["learned", *(name for name in FACTORS if name in there)],
            "recommender": state.about_listeners(),
            "runs": list(state.runs),
            "generation": state.snapshot.generation,
        }
    )
