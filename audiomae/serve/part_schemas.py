"""The shapes of requests and answers about what stands beside the collection: model, recommender, map, runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from audiomae.serve.schemas import Finite, Name, Names

__all__ = [
    "ColoursAnswer",
    "ExplainRequest",
    "Health",
    "MapAnswer",
    "MapState",
    "MusePath",
    "MuseSong",
    "Ready",
    "RebuildAnswer",
    "RebuildRequest",
    "RecommendAnswer",
    "RecommendRequest",
    "RunAnswer",
    "RunsAnswer",
    "UsersAnswer",
]


class RebuildRequest(BaseModel):
    """What of a clip is masked."""

    model_config = ConfigDict(extra="forbid")

    track_id: Name
    start_seconds: float = Field(default=0, ge=0, le=86_400)
    spans: list[tuple[Finite, Finite]] = Field(min_length=1, max_length=64)
    bands: list[tuple[Finite, Finite]] | None = Field(default=None, min_length=1, max_length=64)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class ThreeParts(BaseModel):
    """Data URLs."""

    original: str
    masked: str
    rebuilt: str


class RebuildAnswer(BaseModel):
    """A clip before, as the encoder saw it, and rebuilt."""

    clip_seconds: float
    start_seconds: float
    masked_share: float
    error_db: float
    pictures: ThreeParts
    sounds: ThreeParts


class UserRequest(BaseModel):
    """One user: by id, or by what is known of them and songs they like."""

    model_config = ConfigDict(extra="forbid")

    user: Name | None = None
    new: dict[str, str | float | int | bool | None] | None = Field(default=None, max_length=50)
    liked: Names = Field(default_factory=list)
    ranker: bool = True


class RecommendRequest(UserRequest):
    """A list for a user."""

    k: int = Field(default=10, ge=1, le=100_000)
    per_artist: int | None = Field(default=None, ge=1, le=100_000)
    unplayed: int = Field(default=0, ge=0, le=100_000)
    where: dict[str, str | list[str]] = Field(default_factory=dict, max_length=20)
    heard: bool = False


class ExplainRequest(UserRequest):
    """Why a song is in a user's list."""

    track: Name


class RecommendedAnswer(BaseModel):
    """A song of a list."""

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    score: float
    cosine: float


class PopularAnswer(BaseModel):
    """A song by its plays."""

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    plays: int


class RecommendAnswer(BaseModel):
    """A list, and beside it what is played most."""

    user: str
    stages: int
    songs: list[RecommendedAnswer]
    popular: list[PopularAnswer]
    mel: list[RecommendedAnswer] | None


class UsersAnswer(BaseModel):
    """Users by id."""

    total: int
    users: list[str]


class MapClusters(BaseModel):
    """Regions of the map."""

    codes: str
    names: list[str]


class MapState(BaseModel):
    """How the map was made."""

    generation: int
    method: str
    final: bool


class MapAnswer(BaseModel):
    """Places of all songs; numbers are base64, little end first."""

    generation: int
    method: str
    final: bool
    track_ids: list[str]
    titles: list[str]
    artists: list[str]
    x: str
    y: str
    clusters: MapClusters
    columns: list[str]


class ColoursAnswer(BaseModel):
    """What songs are coloured by."""

    by: str
    kind: Literal["category", "number"]
    codes: str | None = None
    names: list[str] | None = None
    values: str | None = None
    low: float | None = None
    high: float | None = None


class RunAbout(BaseModel):
    """A run by name."""

    name: str
    folder: str


class RunsAnswer(BaseModel):
    """The runs that are served."""

    runs: list[RunAbout]


class RunAnswer(BaseModel):
    """A run's curves, pictures and result."""

    name: str
    metrics: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    pictures: list[str]
    probe: list[dict[str, Any]]
    result: dict[str, Any] | None
    settings: dict[str, Any]
    finished: bool


class Health(BaseModel):
    """The process lives."""

    status: str


class Ready(BaseModel):
    """What is open."""

    status: str
    tracks: int
    generation: int
    parts: dict[str, bool]
    notes: dict[str, str]


class MuseSong(BaseModel):
    """A song as AudioMuse-AI writes it."""

    item_id: str
    title: str
    author: str
    album: str
    distance: float | None = None


class MusePath(BaseModel):
    """A path as AudioMuse-AI writes it."""

    path: list[MuseSong]
    total_distance: float
