"""Parts of the page that stand in it as HTML: songs, scores, lists, pictures, commands. All text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from audiomae.demo_page.contents import Command, Figure, PageList, PageRebuilt, PageSong, ScoreCard

__all__ = [
    "command_cards",
    "definitions",
    "inlined",
    "list_section",
    "name_of",
    "rebuilt_section",
    "score_cards",
    "song_list",
]

STAGES = ("original", "masked", "rebuilt")
STAGE_TEXTS = (
    "What there is.",
    "What the encoder sees: the rest is masked (silence, when you listen).",
    "What the decoder makes of the masked part, guessed from what is left.",
)


def inlined(path: str) -> str:
    """Return a file's bytes as text for a data URI; empty where there is no file."""
    return base64.b64encode(Path(path).read_bytes()).decode() if path else ""


def clock(seconds: float) -> str:
    """Return seconds as 3:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def name_of(song: PageSong) -> str:
    """Return title and artist of a song, as plain text."""
    return f"{song.title} — {song.artist}" if song.artist else song.title


def song_list(
    songs: Sequence[PageSong], rows: Iterable[tuple[int, str]], *, under: Sequence[str] = ()
) -> str:
    """Return songs as a list of buttons that play them.

    Args:
        songs: The collection.
        rows: Places of the songs in it, each with what stands at the right.
        under: HTML below each song.
    """
    items = []
    for number, (place, amount) in enumerate(rows):
        song = songs[place]
        credit = " · ".join(part for part in (song.artist or song.folder, clock(song.seconds)) if part)
        can = "; play" if song.sound else "; its sound is not in this page"
        items.append(
            f'<li><button class="song" type="button" data-song="{place}" aria-pressed="false" '
            f'aria-label="{escape(f"{song.title}, {credit}{can}")}">'
            f'<span class="sign" aria-hidden="true">{"▶" if song.sound else "–"}</span>'
            f'<span class="what"><bdi>{escape(song.title)}</bdi><small><bdi>{escape(credit)}</bdi></small></span>'
            f'<span class="amount">{escape(amount)}</span></button>{under[number] if under else ""}</li>'
        )
    return f'<ol class="songs">{"".join(items)}</ol>'


def score_cards(scores: Iterable[ScoreCard]) -> str:
    """Return each question with its figures, what a good result looks like, and the verdict."""
    return f'<div class="cards">{"".join(map(_score_card, scores))}</div>'


def _score_card(card: ScoreCard) -> str:
    head = f"<h3>{escape(card.question)}</h3>"
    if not card.figures:
        return f'<div class="card">{head}<p class="few"><b>{escape(card.verdict)}</b>: {escape(card.asked)}</p></div>'
    chance = card.chance
    rows = "".join(_figure_row(figure, chance) for figure in card.figures)
    kind = card.outcome
    return (
        f'<div class="card">{head}<p class="verdict {kind}">{escape(card.verdict)}</p>'
        f'<table class="figures"><tbody>{rows}</tbody></table>'
        f'<p class="soft">{escape(card.asked)} {escape(card.good)}</p></div>'
    )


def _figure_row(figure: Figure, chance: float | None) -> str:
    low, score, high = (100 * min(max(value, 0.0), 1.0) for value in (figure.low, figure.score, figure.high))
    guess = ""
    if chance is not None:
        guess = f'<line class="chance" x1="{100 * chance:.2f}%" x2="{100 * chance:.2f}%" y1="0" y2="100%"/>'
    return (
        f'<tr{" class=" + chr(34) + "ours" + chr(34) if figure.ours else ""}><th scope="row">{escape(figure.name)}</th>'
        '<td class="rails"><svg aria-hidden="true"><line class="rail" x1="0" x2="100%" y1="50%" y2="50%"/>'
        f'{guess}<line class="reach" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        f'<line class="spot" x1="{score:.2f}%" x2="{score:.2f}%" y1="50%" y2="50%"/></svg></td>'
        f'<td class="number">{figure.score:.2f} <span class="soft">[{figure.low:.2f} to {figure.high:.2f}]</span>'
        "</td></tr>"
    )


def rebuilt_section(rebuilt: PageRebuilt | None, songs: Sequence[PageSong]) -> str:
    """Return the section with the original, the masked and the rebuilt clip."""
    title = (
        '<section id="rebuilt" aria-labelledby="rebuilt-title"><h2 id="rebuilt-title">Masked and rebuilt</h2>'
    )
    if rebuilt is None:
        return f"{title}<p>No song is long enough for a clip to mask and rebuild.</p></section>"
    song = songs[rebuilt.song]
    text = (
        f"How the model learns: {rebuilt.masked_share:.0%} of a clip is masked, and it guesses what stood there. Here "
        f"a clip of <b><bdi>{escape(name_of(song))}</bdi></b> from {clock(rebuilt.start_seconds)} on. A good rebuild "
        "carries notes and beats on through the gaps; a blur says the model knows the sound but not what comes next. "
        f"The guess is {rebuilt.error_db:.1f} dB off on average (level and spread of each patch are given). All three "
        "sounds are made from the pictures alone, so all three sound a little hollow."
    )
    pictures = [inlined(picture) for picture in rebuilt.pictures]
    if len(pictures) != len(STAGES):
        shots = (
            f'<figure><div class="shot"><img alt="Frequencies over time: the original clip, the masked one, the '
            f'rebuilt one" src="data:image/png;base64,{pictures[0]}"></div></figure>'
        )
        buttons = "".join(_shot_button(stage) + " " for stage in STAGES)
        return f'{title}<p>{text}</p><div class="shots one">{shots}</div><p>{buttons}</p></section>'
    shots = "".join(
        f'<figure><div class="shot" data-stage="{stage}"><img alt="{stage} clip: low notes below, high ones above, '
        f'time to the right" src="data:image/png;base64,{picture}"></div><figcaption>{_shot_button(stage)} '
        f'<span class="soft">{escape(about)}</span></figcaption></figure>'
        for stage, picture, about in zip(STAGES, pictures, STAGE_TEXTS, strict=True)
    )
    return f'{title}<p>{text}</p><div class="shots">{shots}</div></section>'


def _shot_button(stage: str) -> str:
    return f'<button class="plain" type="button" data-shot="{stage}" aria-pressed="false">▶ {stage}</button>'


def list_section(listed: PageList | None, songs: Sequence[PageSong]) -> str:
    """Return the section with a listener's list and the reasons."""
    title = '<section id="list" aria-labelledby="list-title"><h2 id="list-title">A list for a listener, and why</h2>'
    if listed is None:
        return f"{title}<p>Too few songs to invent listeners for.</p></section>"
    under = [_reasons(song.because, song.parts, songs) for song in listed.songs]
    rows = [(song.song, f"{place}") for place, song in enumerate(listed.songs, 1)]
    played = song_list(songs, [(place, f"{plays} ×") for place, plays in listed.played])
    return (
        f'{title}<p class="note">Nobody listened: the listeners are simulated. Each is given tastes in composers, '
        "styles and tempo, which the model never sees. Your own plays give real lists.</p>"
        f"<p>{escape(listed.about)} The bar under a song says what its place is made of: how near its sound is to what "
        "they play, how often others play it, and what a second stage (trees over both and the tags) adds.</p>"
        f'<div class="half"><div class="card"><h3>What they play most</h3>{played}</div>'
        f'<div class="card"><h3>What they are shown next</h3>{song_list(songs, rows, under=under)}</div></div>'
        "</section>"
    )


def _reasons(
    because: Sequence[tuple[int, float]], parts: Sequence[tuple[str, float, float]], songs: Sequence[PageSong]
) -> str:
    near = ", ".join(f"<bdi>{escape(songs[place].title)}</bdi> ({cosine:.2f})" for place, cosine in because)
    left, bars, words = 0.0, [], []
    for number, (name, adds, share) in enumerate(parts):
        bars.append(
            f'<rect class="k{number}" x="{100 * left:.2f}%" width="{100 * share:.2f}%" height="100%"/>'
        )
        left += share
        words.append(
            f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="k{number}" width="10" height="10"/></svg>'
            f"{escape(name)} {share:.0%} ({adds:+.2f})</li>"
        )
    return (
        f'<div class="because"><p>{"Near to what they play: " + near + "." if near else ""}</p>'
        f'<svg class="parts" aria-hidden="true">{"".join(bars)}</svg><ul class="words">{"".join(words)}</ul></div>'
    )


def command_cards(commands: Iterable[Command]) -> str:
    """Return commands, each with a button that copies it."""
    cards = [
        f'<div class="card command"><p>{escape(command.about)}</p><pre id="line{number}">{escape(command.line)}</pre>'
        f'<button class="plain" type="button" data-copy="line{number}">Copy</button></div>'
        for number, command in enumerate(commands)
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names and values as the entries of a `dl`."""
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
