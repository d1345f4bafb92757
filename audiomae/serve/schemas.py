"""The shapes of requests and answers, as `/openapi.json` tells of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "About",
    "ClipPlace",
    "ColoursAnswer",
    "EmbedAnswer",
    "ExplainRequest",
    "Failure",
    "Health",
    "MapAnswer",
    "MapState",
    "MapClusters",
    "PopularAnswer",
    "Ready",
    "RebuildAnswer",
    "RebuildRequest",
    "RecommendAnswer",
    "RecommendRequest",
    "RecommendedAnswer",
    "RecommenderAbout",
    "Rules",
    "RunAbout",
    "RunAnswer",
    "RunsAnswer",
    "SimilarAnswer",
    "SimilarRequest",
    "SongAnswer",
    "ThreeParts",
    "TrackAnswer",
    "TrackDetails",
    "TracksAnswer",
    "UserRequest",
    "UsersAnswer",
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


class EmbedAnswer(BaseModel):
    """A file's vector, and the songs most like it."""

    seconds: float
    dim: int
    vector: list[float]
    songs: list[SongAnswer]


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
