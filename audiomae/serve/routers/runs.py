"""Training runs: curves, pictures, probes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse

from audiomae.serve.answers import Json, RefusedError
from audiomae.serve.part_schemas import RunAnswer, RunsAnswer
from audiomae.serve.runs import picture_of_run, show_run
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("", response_model=RunsAnswer)
def runs(request: Request) -> Json:
    """List the runs that are served."""
    found = state_of(request).runs
    return Json({"runs": [{"name": name, "folder": str(path)} for name, path in found.items()]})


@router.get("/{name}", response_model=RunAnswer)
def run(request: Request, name: str) -> Json:
    """Return a run's curves, held-out figures, pictures and result."""
    known = state_of(request).runs
    if name not in known:
        raise RefusedError(404, f"run {name[:100]!r} is not served; there are {', '.join(known) or 'none'}.")
    return Json(show_run(known[name], name))


@router.get("/{name}/pictures/{picture}", response_class=FileResponse)
def picture(request: Request, name: str, picture: str) -> FileResponse:
    """Return a picture of a run."""
    known = state_of(request).runs
    if name not in known:
        raise RefusedError(404, f"run {name[:100]!r} is not served.")
    return FileResponse(picture_of_run(known[name], picture), media_type="image/png")
