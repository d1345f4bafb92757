"""Whether the service lives, whether it can answer, and what it has done."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from audiomae.serve.answers import Json
from audiomae.serve.part_schemas import Health, Ready
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(tags=["service"])


@router.get("/health", response_model=Health)
async def health() -> Json:
    """Answer: the process lives."""
    return Json({"status": "ok"})


@router.get("/ready", response_model=Ready)
async def ready(request: Request) -> Json:
    """Say what is open; 503 while a part that was named is not."""
    state = state_of(request)
    parts = state.parts()
    whole = all(parts.values())
    about = {
        "status": "ok" if whole else "opening",
        "tracks": len(state.snapshot.row_of),
        "generation": state.snapshot.generation,
        "parts": parts,
        "notes": state.notes,
    }
    return Json(about, 200 if whole else 503)


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(state_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
