"""Sentences of the demo: about the collection, about a listener, and the commands to try next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from audiomae.demo_page.contents import Command, PageSong

__all__ = [
    "GENERATED",
    "TRAINED_BEFORE",
    "commands_to_try",
    "describe_listener",
    "describe_making",
    "describe_songs",
    "duration",
]

TRAINED_BEFORE = (
    "The model in the box was trained on 31 packages of free game music, and these three are among them. It has heard "
    "these songs before, so its scores on them flatter it; on songs of your own they do not."
)
GENERATED = "The songs are composed by a program: they sound simple, and telling them apart is easy."


def duration(seconds: float) -> str:
    """Return seconds as a person says them.

    Example:
        >>> duration(42), duration(280), duration(14_290)
        ('42 s', '4 min 40 s', '3 h 58 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_songs(songs: Sequence[PageSong], music: str) -> str:
    """Return what a collection is, in one sentence."""
    artists = len({song.artist for song in songs} - {""})
    known = f" by {artists} known artists" if artists > 1 else ""
    return f"{len(songs):,} songs, {duration(sum(song.seconds for song in songs))}{known}: {music}."


def describe_making(
    model: str, trained_on: int, steps: int, minutes: float, seconds: Mapping[str, float], seed: int
) -> tuple[tuple[str, str], ...]:
    """Return how a page was made: a name and a value each."""
    trained = f"{minutes:g} minutes ({steps} steps) on {trained_on} of the songs; the others are judged"
    took = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
    return (
        ("begun with", f"model {model}"),
        ("trained", trained if trained_on else "not on these songs"),
        ("time", f"{duration(sum(seconds.values()))} ({took})"),
        ("seed", str(seed)),
        ("audiomae", version("audiomae")),
    )


def describe_listener(user: str, fields: Mapping[str, Any], songs: int) -> str:
    """Return what is known of a simulated listener, in one sentence.

    Args:
        user: Their id.
        fields: Their row of the users' table; empty cells are unknown.
        songs: Different songs that they have played.
    """
    known = []
    if fields.get("age") is not None:
        known.append(f"{fields['age']} years old")
    if fields.get("country"):
        known.append(f"from {fields['country']}")
    if fields.get("favorite_category"):
        known.append(f"says they like {fields['favorite_category']}")
    about = f" ({', '.join(known)})" if known else ""
    return f"{user}{about} has played {songs} songs so far."


def commands_to_try(
    out: Path, *, yours: bool, model: str, song: str, user: str | None
) -> tuple[Command, ...]:
    """Return three commands that work with what the demo has left.

    Args:
        out: The demo's folder.
        yours: Whether the songs are the user's own.
        model: The model that made the vectors: a name or a run folder.
        song: File of a song.
        user: Id of a simulated listener; None where there is none.
    """
    near = _line("audiomae", "similar", out / "vectors", "--file", song, "--model", model)
    found = [Command(near, "The nearest songs to a file: this one, or any other on your disk.")]
    if user is not None:
        line = _line(
            "audiomae", "recommend", out / "recommender", "--user", user, "--k", "10", "--unplayed", "2"
        )
        found.append(
            Command(line, "A longer list for the listener above, with two songs that nobody has played.")
        )
    else:
        line = _line("audiomae", "reconstruct", model, "--song", song, "--out", out / "another")
        found.append(Command(line, "Mask and rebuild another song."))
    if yours:
        minutes = _line(
            "audiomae", "pretrain", "--corpus", out / "corpus", "--init", model, "--minutes", "60"
        )
        found.append(Command(minutes, "Train on for an hour; more songs and time are what helps most."))
    else:
        found.append(Command("audiomae demo ~/Music --out my-music", "The same page of your own music."))
    return tuple(found)


def _line(*words: str | Path) -> str:
    return shlex.join(map(str, words))
