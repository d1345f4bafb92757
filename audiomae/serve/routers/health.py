"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter, Request

from audiomae.serve.answers import Json
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(tags=["service"])


@router.get("/health")
def health() -> Json:
    """Answer: the process lives."""
    return Json({"status": "ok"})


@router.get("/ready")
def ready(request: Request) -> Json:
    """Say what is open, and what of the folder could not be opened since."""
    state = state_of(request)
    return Json(
        {
            "status": "ok",
            "tracks": len(state.snapshot.row_of),
            "generation": state.snapshot.generation,
            "note": state.reload_error,
        }
    )
