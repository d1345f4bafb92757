"""What the demo's page shows, as plain values and names of files: no model, no corpus, no recommender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Command",
    "Figure",
    "ListedSong",
    "PageContents",
    "PageList",
    "PageRebuilt",
    "PageSong",
    "ScoreCard",
]


@dataclass(frozen=True)
class PageSong:
    """A song of the collection.

    Attributes:
        title: Its title, or its file's name.
        artist: Its artist, empty where unknown.
        genre: Its genre, empty where unknown.
        folder: Name of the folder that it lies in.
        seconds: Its length.
        x: Place on the map, from 0 to 1.
        y: The same, downwards.
        neighbours: Places in the collection of the nearest songs, nearest first, each with its cosine.
        sound: File of a short clip, MP3; empty where the page holds none of it.
        sound_seconds: Where in the song the clip starts.
        heard: Whether the training on this collection has heard it.
    """

    title: str
    artist: str
    genre: str
    folder: str
    seconds: float
    x: float
    y: float
    neighbours: tuple[tuple[int, float], ...] = ()
    sound: str = ""
    sound_seconds: float = 0.0
    heard: bool = False


@dataclass(frozen=True)
class Figure:
    """How well one kind of vector or list does.

    Attributes:
        name: What it is, as a person reads it.
        score: From 0 to 1; more is better.
        low: Lower end of the 95 % interval.
        high: Upper end.
        ours: Whether it is this product's, not a simpler way to stand beside it.
    """

    name: str
    score: float
    low: float
    high: float
    ours: bool = False


@dataclass(frozen=True)
class ScoreCard:
    """One question, and how well it was answered.

    Attributes:
        name: A short name: "same song".
        question: The question in plain words.
        asked: Of how many songs, clips or listeners it was asked; where these are too few, how many it takes.
        good: What a good result looks like.
        figures: Scores, ours first; empty where there is too little to judge.
        chance: What guessing would score; None without figures.
        verdict: What follows, in one sentence.
        outcome: Whether ours is surely better than the simpler way, surely worse, or neither.
        caution: Why the figures decide nothing, in a sentence; empty where they may.
    """

    name: str
    question: str
    asked: str
    good: str = ""
    figures: tuple[Figure, ...] = ()
    chance: float | None = None
    verdict: str = "too few to judge"
    outcome: Literal["better", "worse", "open"] = "open"
    caution: str = ""


@dataclass(frozen=True)
class PageRebuilt:
    """A clip, what the encoder saw of it, and what the decoder made of the rest.

    Attributes:
        song: Place of the song in the collection.
        start_seconds: Where in the song the clip starts.
        error_db: Root mean square error over the masked part, in dB.
        masked_share: Share of the clip that was masked.
        pictures: Files of the original, the masked and the rebuilt clip's picture, PNG; or of one with all three.
        sounds: Files of the original, the masked and the rebuilt clip, MP3.
    """

    song: int
    start_seconds: float
    error_db: float
    masked_share: float
    pictures: tuple[str, ...]
    sounds: tuple[str, str, str]


@dataclass(frozen=True)
class ListedSong:
    """A song of a list, and why it stands there.

    Attributes:
        song: Its place in the collection.
        because: Songs that the listener has played, nearest first, each with its cosine.
        parts: What the score is made of: name, what it adds against the mean of all songs, share from 0 to 1.
    """

    song: int
    because: tuple[tuple[int, float], ...]
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class PageList:
    """A list for one listener.

    Attributes:
        user: Their id.
        about: What is known of them, in words.
        played: Songs that they have played, the most played first, with the number of plays.
        songs: The list, best first.
    """

    user: str
    about: str
    played: tuple[tuple[int, int], ...]
    songs: tuple[ListedSong, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """Places in the collection of all songs that are named first."""
        return (*(place for place, _ in self.played), *(song.song for song in self.songs))


@dataclass(frozen=True)
class Command:
    """A command to try next.

    Attributes:
        line: As it is typed.
        about: What it does.
    """

    line: str
    about: str


@dataclass(frozen=True)
class PageContents:
    """All that the page shows.

    Attributes:
        summary: What the collection is, in one sentence.
        notes: What a reader should know before they believe anything, a sentence each.
        songs: The collection.
        query: The song whose neighbours are shown at length.
        rebuilt: A clip rebuilt; None where no song is long enough.
        listed: A list for a listener; None where there are too few songs for listeners.
        scores: Questions and answers.
        commands: What to try next.
        made: How the page was made: a name and a value each.
    """

    summary: str
    notes: tuple[str, ...]
    songs: tuple[PageSong, ...]
    query: int
    rebuilt: PageRebuilt | None
    listed: PageList | None
    scores: tuple[ScoreCard, ...]
    commands: tuple[Command, ...]
    made: tuple[tuple[str, str], ...]
