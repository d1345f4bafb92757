"""Scores in words: what was asked, what guessing scores, and whether ours is better than the simpler way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from audiomae.demo_page.contents import Figure, ScoreCard
from audiomae.probing.collection import LEAST_TRACKS, LEAST_TRACKS_AN_ANSWER, MEL_STATISTICS, Judgement
from audiomae.recommend.evaluation.bootstrap import Interval

__all__ = ["LIST", "NEW_LIST", "card_of_judgement", "cards_of_evaluation"]

LEAST_SONGS = 40
"""Songs of a catalogue whose lists are judged: with fewer, ten places hold much of it."""
LEAST_LISTENERS = 100
"""Listeners that lists are judged by."""
LEAST_COLD = 15
"""Songs nobody has played that lists of such songs are judged by."""

LIST, NEW_LIST = 10, 5
"""Lengths of the lists that are judged: of all songs, and of songs that nobody has played."""

QUESTIONS = {
    "same_track": ("same song", "Does a clip find another clip of its own song?"),
    "artist": ("artist", "Can the artist be told from a clip?"),
    "genre": ("genre", "Can the genre be told from a clip?"),
    "folder": ("folder", "Can the folder or package that a song lies in be told from a clip?"),
}
FEW_SONGS = 50
"""Below it, a score is said to mean little by itself."""


def card_of_judgement(judged: Judgement, names: Mapping[str, str]) -> ScoreCard:
    """Return one question about clips in words.

    Args:
        judged: The question and its scores.
        names: Name of the vectors → how a person calls them; ours, the ones that matter, first.
    """
    name, question = QUESTIONS[judged.name]
    if not judged.scores:
        return ScoreCard(name, question, _lacking(judged))
    figures = tuple(
        Figure(names.get(which, which), *score, ours=which in names) for which, score in judged.scores.items()
    )
    ours, lead = next(iter(judged.scores.values())), judged.above[MEL_STATISTICS]
    verdict, outcome = _compare(ours.score, judged.scores[MEL_STATISTICS].score, lead.low, lead.high)
    return ScoreCard(
        name,
        question,
        f"Asked of {judged.clips} clips of {judged.tracks} songs"
        + (f", {judged.answers} different answers." if judged.name != "same_track" else "."),
        _good(judged),
        figures,
        judged.chance,
        verdict,
        outcome,
    )


def _good(judged: Judgement) -> str:
    if judged.name != "same_track":
        return (
            f"Always saying the most frequent answer scores {judged.chance:.2f}; a good result is far above that, 1 "
            "would mean that every clip gives it away."
        )
    text = (
        f"Guessing scores {judged.chance:.2f}. A good result is above 0.6 among some hundred songs of one style, near "
        "1 among songs that differ much."
    )
    if judged.tracks < FEW_SONGS:
        text += (
            f" With {judged.tracks} songs it is easy: look at the lead over mel statistics, not at the score."
        )
    return text


def _lacking(judged: Judgement) -> str:
    if judged.name == "same_track":
        return f"{judged.tracks} songs could be asked about; it takes {LEAST_TRACKS}."
    return (
        f"{judged.tracks} songs could be asked about, of {judged.answers} {judged.name}s that have at least "
        f"{LEAST_TRACKS_AN_ANSWER} of them; it takes {LEAST_TRACKS} songs and two {judged.name}s."
    )


def cards_of_evaluation(
    parts: Mapping[str, Any], ours: str, theirs: str, *, songs: int, new_songs: int
) -> list[ScoreCard]:
    """Return both questions about lists in words.

    Args:
        parts: What judging recommenders says of each part of the songs: users, systems and differences; empty where
            nothing was judged.
        ours: Name of the system on our vectors.
        theirs: Name of the one on mel statistics.
        songs: Songs of the catalogue.
        new_songs: Those of them that nobody has played.
    """
    cards = []
    names = {ours: "ours", theirs: MEL_STATISTICS}
    asked = (("all", LIST, False, songs), ("cold tracks among themselves", NEW_LIST, True, new_songs))
    for part, k, new, count in asked:
        found, measure = parts.get(part), f"recall@{k}"
        if found is None:
            cards.append(card_of_lists({}, None, new=new, listeners=0, songs=count, k=k))
            continue
        systems = {names.get(name, name): values[measure] for name, values in found.systems.items()}
        lead = found.differences[theirs][measure]
        cards.append(card_of_lists(systems, lead, new=new, listeners=found.users, songs=count, k=k))
    return cards


def card_of_lists(
    systems: Mapping[str, Interval],
    lead: Interval | None,
    *,
    new: bool,
    listeners: int,
    songs: int,
    k: int,
) -> ScoreCard:
    """Return how good lists are, in words.

    Args:
        systems: "ours", "mel statistics", "popularity" and "random" → recall at k.
        lead: Ours minus mel statistics, paired over listeners.
        new: Whether of songs that nobody has played, among each other, instead of lists from the whole catalogue.
        listeners: Listeners judged.
        songs: Songs that lists could hold.
        k: Length of the lists.
    """
    least = LEAST_COLD if new else LEAST_SONGS
    name = "new songs" if new else "lists"
    question = (
        f"Do {k} songs picked from those that nobody has played yet please a listener?"
        if new
        else f"Does a list of {k} songs hold what the listener goes on to play?"
    )
    if songs < least or listeners < LEAST_LISTENERS or lead is None:
        return ScoreCard(
            name,
            question,
            f"{songs} songs and {listeners} listeners could be judged by; it takes {least} songs and "
            f"{LEAST_LISTENERS} listeners.",
        )
    shown = (
        ("ours", "towers on our vectors", True),
        (MEL_STATISTICS, "towers on mel statistics", False),
        ("popularity", "the most played", False),
    )
    figures = tuple(
        Figure(text, systems[which].mean, systems[which].low, systems[which].high, ours)
        for which, text, ours in shown
        if which in systems
    )
    chance = systems["random"].mean
    verdict, outcome = _compare(systems["ours"].mean, systems[MEL_STATISTICS].mean, lead.low, lead.high)
    return ScoreCard(
        name,
        question,
        f"Of the songs that each of {listeners} simulated listeners plays later for the first time, the share that is "
        f"listed; {songs} songs to choose from.",
        f"Songs at random score {chance:.2f}. A good list is well above that"
        + ("." if new else " and above the most played, which asks nobody for their taste."),
        figures,
        chance,
        verdict,
        outcome,
    )


def _compare(
    ours: float, theirs: float, low: float, high: float
) -> tuple[str, Literal["better", "worse", "open"]]:
    """Return what follows from the paired lead over mel statistics and its interval."""
    pair = f"{ours:.2f} against {theirs:.2f}"
    if low > 0:
        return f"Ours beat mel statistics: {pair}.", "better"
    if high < 0:
        return f"Mel statistics are better here: {theirs:.2f} against our {ours:.2f}.", "worse"
    return f"No clear difference from mel statistics: {pair}.", "open"
