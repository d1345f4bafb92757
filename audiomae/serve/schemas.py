"""The shapes of requests and answers, as `/openapi.json` tells of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "About",
    "ClipPlace",
    "Failure",
    "Rules",
    "SimilarAnswer",
    "SimilarRequest",
    "SongAnswer",
    "TrackAnswer",
    "TrackDetails",
    "TracksAnswer",
]

Name = Annotated[str, Field(min_length=1, max_length=4096)]
"""A song as people name it: an id, a path or its end, a title."""
Names = Annotated[list[Name], Field(max_length=1000)]


class Failure(BaseModel):
    """What every refused request is answered with."""

    error: str


class RecommenderAbout(BaseModel):
    """What recommends."""

    users: int
    songs: int
    stages: Literal[1, 2]
    fields: list[str]


class About(BaseModel):
    """What is served."""

    version: str
    tracks: int
    dim: int
    clip_seconds: float | None
    hop_seconds: float | None
    model: str | None
    columns: list[str]
    factors: list[str]
    recommender: RecommenderAbout | None
    runs: list[str]
    generation: int


class TrackAnswer(BaseModel):
    """A song of the collection."""

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    seconds: float | None
    clips: int | None


class ClipPlace(BaseModel):
    """A clip of a song."""

    clip_index: int
    start_seconds: float


class TrackDetails(TrackAnswer):
    """A song with its clips."""

    playable: bool
    places: list[ClipPlace] = Field(alias="clips_at")


class TracksAnswer(BaseModel):
    """A page of songs."""

    total: int
    tracks: list[TrackAnswer]


class SongAnswer(TrackAnswer):
    """A song found."""

    cosine: float


class SimilarAnswer(BaseModel):
    """Songs like some, and not like others."""

    like: list[TrackAnswer]
    unlike: list[TrackAnswer]
    songs: list[SongAnswer]


class Rules(BaseModel):
    """What lists of similar songs keep to."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=10, ge=1, le=100_000)
    per_artist: int | None = Field(default=None, ge=1, le=100_000)
    per_album: int | None = Field(default=None, ge=1, le=100_000)
    duplicates: bool = False
    where: dict[str, str | list[str]] = Field(default_factory=dict, max_length=20)
    seconds: tuple[float, float] | None = None
    tempo: tuple[float, float] | None = None
    key: str | None = Field(default=None, max_length=20)
    least: float | None = Field(default=None, ge=-1, le=1)


class SimilarRequest(Rules):
    """Songs to start from, songs to stay away from, and rules."""

    like: Names = Field(min_length=1)
    unlike: Names = Field(default_factory=list)
    by: dict[str, float] | None = Field(default=None, max_length=20)
    hubs: bool = True
