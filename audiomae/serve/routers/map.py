"""The collection as points on a plane, and what they can be coloured by."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.serve.answers import Json, RefusedError
from audiomae.serve.part_schemas import ColoursAnswer, MapAnswer, MapState
from audiomae.serve.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/map", tags=["map"])

MOST_NAMES = 65_535
"""Names that a colour can have: codes are 16 bits wide, the last stands for all others."""


@router.get("", response_model=MapAnswer)
def points(request: Request) -> Json:
    """Return every song's place; `final` says whether a better map is being made."""
    state = state_of(request)
    snapshot = state.snapshot
    found, final = state.maps.points(snapshot.vectors)
    columns = snapshot.columns
    return Json(
        {
            "generation": snapshot.generation,
            "method": found.method,
            "final": final,
            "track_ids": columns["track_id"],
            "titles": columns["title"],
            "artists": columns["artist"],
            "x": packed(found.x, "<f4"),
            "y": packed(found.y, "<f4"),
            "clusters": {"codes": packed(found.codes, "<u2"), "names": list(found.names)},
            "columns": colour_names(snapshot.vectors.tracks),
        }
    )


@router.get("/state", response_model=MapState)
def map_state(request: Request) -> Json:
    """Say how the map was made, and whether that is final: what a page asks while it waits for a better one."""
    state = state_of(request)
    found, final = state.maps.points(state.snapshot.vectors)
    return Json({"generation": state.snapshot.generation, "method": found.method, "final": final})


@router.get("/colours", response_model=ColoursAnswer)
def colours(request: Request, by: Annotated[str, Query(min_length=1, max_length=100)]) -> Json:
    """Return what every song is coloured by: codes and names of a tag, or numbers."""
    tracks = state_of(request).snapshot.vectors.tracks
    if by not in colour_names(tracks):
        raise RefusedError(
            404, f"songs are not coloured by {by[:50]!r}; take {', '.join(colour_names(tracks))}."
        )
    return Json({"by": by, **colours_of(tracks[by])})


def colour_names(tracks: pa.Table) -> list[str]:
    """Return the columns that songs can be coloured by: tags, and whatever holds numbers."""
    return [
        field.name
        for field in tracks.schema
        if field.name in TAGS[1:] or pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]


def colours_of(column: pa.ChunkedArray) -> dict[str, Any]:
    """Return a column as codes and names, most frequent first, or as numbers; nulls are NaN."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        values = column.cast(pa.float32()).to_numpy(zero_copy_only=False).astype(np.float32)
        finite = values[np.isfinite(values)]
        low, high = (float(edge) for edge in np.percentile(finite, (1, 99))) if len(finite) else (0.0, 0.0)
        return {"kind": "number", "values": packed(values, "<f4"), "low": low, "high": high}
    names, codes = np.unique(
        np.array([text or "" for text in column.to_pylist()], dtype=object).astype(str), return_inverse=True
    )
    order = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    kept = [str(name) for name in names[order][:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        kept.append("others")
    return {"kind": "category", "codes": packed(np.minimum(place[codes], MOST_NAMES), "<u2"), "names": kept}


def packed(values: NDArray[Any], kind: str) -> str:
    """Return numbers as base64 of their bytes, little end first."""
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()
