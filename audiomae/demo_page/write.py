"""The demo's page: one HTML file that needs no server, no network and no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from audiomae.demo_page.contents import PageContents, PageSong
from audiomae.demo_page.parts import (
    command_cards,
    definitions,
    inlined,
    list_section,
    name_of,
    rebuilt_section,
    score_cards,
    song_list,
)
from audiomae.disk.files import write_atomically

__all__ = ["write_page"]

COLOURS = 10
UNKNOWN = "others and unknown"
PARTS = (
    ("map", "The map"),
    ("neighbours", "Neighbours"),
    ("rebuilt", "Masked and rebuilt"),
    ("list", "A list, and why"),
    ("scores", "How good is it?"),
    ("next", "Next"),
)


def write_page(contents: PageContents, path: Path | str) -> None:
    """Write the page.

    Args:
        contents: What it shows.
        path: The HTML file, written atomically.

    Raises:
        StorageError: If the disk refuses.
    """
    text = page_html(contents)
    with write_atomically(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="replace"))


def page_html(contents: PageContents) -> str:
    """Return the page as text.

    The policy in its head forbids every address and every script but its own, so a title can neither run nor load
    anything even if it got past the escaping.
    """
    style, script = _resource("page.css"), _resource("page.js")
    songs, query = contents.songs, contents.query
    slots = {
        "policy": (
            f"default-src 'none'; img-src data:; media-src data:; style-src {_digest(style)}; "
            f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "script": script,
        "summary": escape(contents.summary),
        "notes": "".join(f'<p class="note">{escape(note)}</p>' for note in contents.notes),
        "contents": "".join(f'<li><a href="#{place}">{escape(name)}</a></li>' for place, name in PARTS),
        "neighbours": _neighbours(songs, query),
        "rebuilt": rebuilt_section(contents.rebuilt, songs),
        "listed": list_section(contents.listed, songs),
        "scores": score_cards(contents.scores),
        "commands": command_cards(contents.commands),
        "made": definitions(contents.made),
        "data": _data(contents),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: slots[slot[1]], _resource("page.html"))


def _resource(name: str) -> str:
    return (resources.files("audiomae.demo_page") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _neighbours(songs: Sequence[PageSong], query: int) -> str:
    near = [(place, f"{cosine:.2f}") for place, cosine in songs[query].neighbours]
    heard = "" if songs[query].heard else " This song was kept from the training on your songs."
    return (
        f"<p>Start with <b><bdi>{escape(name_of(songs[query]))}</bdi></b>.{heard} Do its nearest songs sound alike: "
        "the same instruments, mood, way of recording? The number is the cosine between two songs’ vectors; 1 is the "
        "same direction, 0 unrelated.</p>"
        f'<div class="card"><div class="big">{song_list(songs, [(query, "")])}</div>{song_list(songs, near)}</div>'
    )


def _data(contents: PageContents) -> str:
    """Return what the script reads, as JSON in which no character can end the element it stands in."""
    shots = contents.rebuilt.sounds if contents.rebuilt else ()
    held = {
        "songs": [
            {
                "title": song.title,
                "artist": song.artist,
                "folder": song.folder,
                "seconds": round(song.seconds, 1),
                "x": round(song.x, 4),
                "y": round(song.y, 4),
                "from": round(song.sound_seconds, 2),
                "near": [[place, round(cosine, 4)] for place, cosine in song.neighbours],
                "sound": inlined(song.sound),
            }
            for song in contents.songs
        ],
        "query": contents.query,
        "colourings": colourings(contents.songs),
        "shots": {
            stage: inlined(sound)
            for stage, sound in zip(("original", "masked", "rebuilt"), shots, strict=False)
        },
    }
    text = json.dumps(held, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def colourings(songs: Sequence[PageSong]) -> list[dict[str, Any]]:
    """Return by what the map can be coloured: names of the most frequent values, and each song's number or -1."""
    found = []
    for field in ("artist", "genre", "folder"):
        values = [str(getattr(song, field)) for song in songs]
        counts = Counter(value for value in values if value)
        names = [name for name, _ in counts.most_common(COLOURS)]
        if len(names) < 2:
            continue
        numbers = {name: number for number, name in enumerate(names)}
        covered = sum(counts[name] for name in names)
        of = [numbers.get(value, -1) for value in values]
        found.append((covered, {"name": field, "values": names, "of": of, "rest": UNKNOWN}))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]
