"""The shapes of requests and answers about songs and lists of them, as `/openapi.json` tells of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "About",
    "EmbedAnswer",
    "Failure",
    "Finite",
    "Name",
    "Names",
    "PathRequest",
    "PlaylistRequest",
    "RadioRequest",
    "Rules",
    "SimilarAnswer",
    "SimilarRequest",
    "SimilarityAnswer",
    "SongsAnswer",
    "TrackDetails",
    "TracksAnswer",
]

Name = Annotated[str, Field(min_length=1, max_length=4096)]
"""A song as people name it: an id, a path or its end, a title."""
Finite = Annotated[float, Field(ge=-1e9, le=1e9)]
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
    clips: list[ClipPlace]  # type: ignore[assignment]


class TracksAnswer(BaseModel):
    """A page of songs."""

    total: int
    tracks: list[TrackAnswer]


class SongAnswer(TrackAnswer):
    """A song found."""

    cosine: float
    score: float


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
    versions: bool = True
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


class EmbedAnswer(BaseModel):
    """A file's vector, and the songs most like it."""

    seconds: float
    dim: int
    vector: list[float]
    songs: list[SongAnswer]


class SongsAnswer(BaseModel):
    """Songs in order."""

    songs: list[SongAnswer]


class PathRequest(Rules):
    """From one song to another."""

    start: Name
    end: Name
    steps: int = Field(default=8, ge=0, le=200)


class RadioRequest(Rules):
    """A radio."""

    like: Names = Field(min_length=1)
    unlike: Names = Field(default_factory=list)
    diversity: float = Field(default=0.3, ge=0, le=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    k: int = Field(default=20, ge=1, le=1000)


class MomentAnswer(BaseModel):
    """A clip of each of two songs that are alike."""

    start_seconds: float
    other_start_seconds: float
    cosine: float


class SimilarityAnswer(BaseModel):
    """Why two songs are alike."""

    one: str
    other: str
    cosine: float
    factors: dict[str, float]
    nearer_than: dict[str, float]
    moments: list[MomentAnswer]
    clip_seconds: float


class PlaylistRequest(BaseModel):
    """Songs as a file."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="playlist", min_length=1, max_length=200)
    tracks: list[Name] = Field(min_length=1, max_length=10_000)
    format: Literal["m3u8", "csv"] = "m3u8"
