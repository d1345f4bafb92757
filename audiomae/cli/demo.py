"""What `audiomae demo` says: its story, on less than a screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from audiomae.cli.terminal import wide_console
from audiomae.demo_page.contents import PageContents, PageSong, ScoreCard
from audiomae.demo_page.words import duration
from audiomae.verbs.demo import DemoResult

__all__ = ["EXAMPLE", "MAIN", "show", "status"]

EXAMPLE = "audiomae demo ~/Music --out my-music"
MAIN = ("out", "corpus", "minutes", "model")
"""Settings that `--help` shows first."""

WIDTH = 100
NAME = 60
"""Columns that a song's name may take."""


def status(result: DemoResult) -> int:
    """Return 128 + the signal that stopped the training, else 0."""
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def show(result: DemoResult) -> int:
    """Tell what was found, in at most 40 lines."""
    if result.contents is not None:
        for line in story(result, result.contents):
            wide_console().print(line, soft_wrap=True)
    return status(result)


def story(result: DemoResult, contents: PageContents) -> Iterator[str]:
    """Yield the story line by line."""
    yield from _folded(contents.summary)
    if result.trained_on:
        yield (
            f"The model trained on with {result.trained_on} of them ({result.steps} steps); the other "
            f"{len(contents.songs) - result.trained_on} were kept aside to judge it by."
        )
    for note in contents.notes:
        yield from _folded(note)
    songs = contents.songs
    yield f"\nNearest to {_name(songs[contents.query])} (1 is the same sound, 0 unrelated):"
    for place, cosine in songs[contents.query].neighbours[:3]:
        yield f"  {cosine:5.2f}  {_name(songs[place])}"
    if contents.listed is not None:
        yield f"\nA list for simulated {contents.listed.about.split(' has played')[0]}:"
        for number, song in enumerate(contents.listed.songs[:3], 1):
            near = f"  (near to {songs[song.because[0][0]].title})" if song.because else ""
            yield f"  {number}. {_name(songs[song.song])}{near}"[: WIDTH + 10]
    yield "\nHow good is it? Scores from 0 to 1; what they mean is on the page."
    yield f"  {'':<11}{'ours':>5}  {'mel statistics':>14}  {'guessing':>8}"
    for card in contents.scores:
        yield _score(card)
    cautions: dict[str, list[str]] = {}
    for card in contents.scores:
        if card.caution and card.figures:
            cautions.setdefault(card.caution, []).append(card.name)
    for line, names in cautions.items():
        yield from _folded(f"Caution ({', '.join(names)}): {line}")
    yield "\nTo try next:"
    for command in contents.commands:
        yield f"  {command.line}"
    size = Path(result.page).stat().st_size / 1e6
    spent = sum(result.seconds.values()) - result.seconds.get("preparing", 0.0)
    yield (
        f"\nPreparing took {duration(result.seconds.get('preparing', 0.0))}, the rest {duration(spent)}; about "
        f"{duration(result.announced_seconds)} were announced."
    )
    yield f"Look and listen: {result.page} ({size:.1f} MB, open it in a browser)"


def _score(card: ScoreCard) -> str:
    if not card.figures:
        return f"  {card.name:<11}{card.verdict}: {card.asked}"
    others = {figure.name: figure for figure in card.figures if not figure.ours}
    mel = next(figure for name, figure in others.items() if "mel statistics" in name)
    ours = card.figures[0]
    words = {"better": "better", "worse": "mel statistics are better", "open": "no clear difference"}
    return f"  {card.name:<11}{ours.score:5.2f}  {mel.score:14.2f}  {card.chance or 0.0:8.2f}   {words[card.outcome]}"


def _name(song: PageSong) -> str:
    name = f"{song.title} — {song.artist}" if song.artist else song.title
    return textwrap.shorten(" ".join(name.split()), NAME, placeholder=" …")


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH)
