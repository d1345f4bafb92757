"""Ten styles of music, each a short function that writes the notes of a random piece in that style.

Instruments, keys, rooms and recordings are drawn from shared lists, so that a style shows in how
the notes are laid out in time more than in its colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_prep.songs.generated.piece import Piece

__all__ = ["STYLES"]


def every(step: float, beats: int, offset: float = 0.0) -> list[float]:
    """Beats of a bar at an even distance."""
    return [float(beat) for beat in np.arange(offset, beats - 1e-6, step)]


def ambient(piece: Piece) -> None:
    """Long chords that fade into one another, a few notes above them."""
    piece.chords_at(piece.one_of("strings", "organ", "saw"), [0], 4.2, 0.8)
    piece.chords_at(piece.one_of("strings", "flute", "brass"), [0], 4.2, 0.5, octave=4)
    piece.tune([0, 1.5, 2, 3], 0.4, 5, length=1.2)


def baroque(piece: Piece) -> None:
    """Two or three voices that run against each other; no drums."""
    piece.tune(every(0.5, 4), 0.6, 4)
    lower = piece.part(piece.one_of("harpsichord", "organ", "strings", "plucked"), 0.6)
    for bar in range(piece.bars):
        for beat in every(1 if bar % 2 else 0.5, 4):
            step = int(piece.rng.choice([0, 2, 4, 1, 7]))
            length = 0.9 if bar % 2 else 0.45
            piece.add(lower, bar, beat, length, piece.pitch(piece.chord(bar) + (step if beat else 0), 3))
    if piece.rng.uniform() < 0.5:
        piece.bass(piece.one_of("organ", "strings", "brass"), [(0, 1.9, 0), (2, 1.9, 4)], 0.5)


def chiptune(piece: Piece) -> None:
    """Chords broken into fast arpeggios, a square bass, noise for drums."""
    part, climb = piece.part(piece.lead, 0.5), [0, 2, 4, 7] if piece.rng.uniform() < 0.5 else [7, 4, 2, 4]
    for bar, rest in enumerate(piece.rests()):
        for index, beat in enumerate(() if rest else every(0.25, 4)):
            degree = piece.chord(bar) + climb[index % 4]
            piece.add(part, bar, beat, 0.22, piece.pitch(degree, 4))
    piece.bass(
        piece.one_of("square", "saw", "organ"),
        [(b, 0.4, 7 if i % 2 else 0) for i, b in enumerate(every(0.5, 4))],
        0.6,
    )
    piece.drum("hat", every(0.5, 4), 0.25, chance=0.8)
    piece.drum("snare", [1, 3], 0.35)


def drum_and_bass(piece: Piece) -> None:
    """A broken fast beat under slow chords."""
    piece.drum("kick", [0, 2.5], 0.9)
    piece.drum("snare", [1, 3], 0.8)
    piece.drum("snare", [0.75, 1.75, 2.25, 3.75], 0.3, chance=0.4)
    piece.drum(piece.one_of("hat", "shaker", "ride"), every(0.5, 4), 0.3)
    piece.bass(
        piece.one_of("saw", "square", "strings"),
        [(0, 1.4, 0), (2.5, 1.3, int(piece.rng.choice([0, 4, 6])))],
        0.9,
    )
    piece.chords_at(piece.one_of("strings", "organ", "piano"), [0], 3.8, 0.4, octave=4)
    piece.tune([0, 1.5, 3], 0.3, 5)


def folk(piece: Piece) -> None:
    """Picked chords with a changing bass under a plain tune."""
    part = piece.part(piece.one_of("plucked", "plucked", "piano", "harpsichord"), 0.6)
    pick = [int(step) for step in piece.rng.choice([4, 7, 9], 8)]
    for bar in range(piece.bars):
        for index, beat in enumerate(every(0.5, 4)):
            step = (0 if index % 4 == 0 else 4) - 7 if index % 2 == 0 else pick[index]
            piece.add(
                part, bar, beat, 1.2, piece.pitch(piece.chord(bar) + step, 4), 0.9 if index % 2 else 1.0
            )
    piece.tune([0, 1, 1.5, 2, 3], 0.45)
    if piece.rng.uniform() < 0.4:
        piece.drum("shaker", every(0.5, 4), 0.12)


def reggae(piece: Piece) -> None:
    """Short chords off the beat, the drum on the third, a bass that leaves gaps."""
    piece.chords_at(piece.one_of("organ", "piano", "plucked", "square"), [0.5, 1.5, 2.5, 3.5], 0.2, 0.8)
    piece.drum("kick", [2], 0.9)
    piece.drum("rim", [2], 0.5)
    piece.drum("hat", every(0.5, 4), 0.2, chance=0.85)
    piece.bass(
        piece.one_of("strings", "organ", "square", "plucked"), [(0, 0.7, 0), (1.5, 0.4, 2), (2, 0.7, 4)], 0.9
    )
    piece.tune([0, 0.5, 1.5, 3], 0.4)


def rock(piece: Piece) -> None:
    """Distorted fifths on the eighths over a back beat."""
    drive = float(piece.rng.uniform(1.5, 6))
    part = piece.part(piece.one_of("saw", "saw", "plucked", "organ"), 0.7, drive)
    for bar, rest in enumerate(piece.rests()):
        for beat in () if rest else every(0.5, 4):
            for step, octave in ((0, 2), (4, 2), (7, 2)):
                piece.add(part, bar, beat, 0.42, piece.pitch(piece.chord(bar) + step, octave))
    piece.bass(piece.one_of("plucked", "saw", "brass"), [(beat, 0.45, 0) for beat in every(0.5, 4)], 0.4)
    piece.drum("kick", [0, 2, 2.5], 0.9)
    piece.drum("snare", [1, 3], 0.8)
    piece.drum(piece.one_of("hat", "ride"), every(0.5, 4), 0.3)
    piece.tune([0, 1, 1.5, 2.5, 3], 0.4, 4)


def swing(piece: Piece) -> None:
    """A walking bass, a ride in long and short, chords where the tune leaves room."""
    long = float(piece.rng.uniform(0.6, 0.68))
    piece.drum("ride", [0, 1, 1 + long, 2, 3, 3 + long], 0.3)
    piece.drum("hat", [1, 3], 0.25)
    piece.drum("kick", [0, 2], 0.35, chance=0.4)
    walk = piece.part(piece.one_of("plucked", "piano", "strings"), 0.8)
    for bar in range(piece.bars):
        for beat, step in enumerate((0, 2, 4, int(piece.rng.choice([5, 3, 1])))):
            piece.add(walk, bar, beat, 0.9, piece.pitch(piece.chord(bar) + step, 2))
    piece.chords_at(piece.one_of("piano", "organ", "brass", "bells"), [long, 2 + long], 0.4, 0.5)
    piece.tune([0, long, 1, 1 + long, 2 + long, 3], 0.5)


def techno(piece: Piece) -> None:
    """A kick on every beat, hats between them, one bass figure over and over."""
    piece.drum("kick", every(1, 4), 1.0)
    piece.drum("hat", every(1, 4, 0.5), 0.35)
    piece.drum(piece.one_of("hat", "shaker"), every(0.25, 4), 0.15, chance=0.7)
    piece.drum("clap", [1, 3], 0.4, chance=0.8)
    figure = [(beat, 0.2, int(piece.rng.choice([0, 0, 0, 7, 4]))) for beat in every(0.25, 4) if beat % 1]
    piece.bass(piece.one_of("saw", "square", "plucked"), figure, 0.6)
    stabs = sorted(float(beat) for beat in piece.rng.choice(every(0.25, 4), 4, replace=False))
    piece.chords_at(piece.lead, stabs, 0.25, 0.5, octave=4)


def waltz(piece: Piece) -> None:
    """Bass on one, chords on two and three, a tune above."""
    piece.bass(piece.one_of("piano", "strings", "plucked", "brass"), [(0, 0.9, 0)], 0.9)
    piece.chords_at(piece.one_of("piano", "plucked", "organ", "strings"), [1, 2], 0.6, 0.6)
    piece.tune([0, 1, 2, 2.5], 0.6)


@dataclass(frozen=True)
class Style:
    """Limits of a style: `tempo` in beats a minute, and what its lead may be."""

    write: Callable[[Piece], None]
    tempo: tuple[float, float]
    modes: tuple[str, ...]
    leads: tuple[str, ...]
    beats: int = 4
    loose: float = 0.0


BOTH = ("major", "minor")
STYLES = {
    "ambient": Style(ambient, (55, 80), BOTH, ("bells", "flute", "piano", "square"), loose=0.02),
    "baroque": Style(baroque, (75, 110), BOTH, ("harpsichord", "organ", "flute", "piano"), loose=0.004),
    "chiptune": Style(chiptune, (105, 160), BOTH, ("square", "saw", "bells", "harpsichord")),
    "drum_and_bass": Style(drum_and_bass, (160, 178), ("minor",), ("saw", "bells", "square", "flute")),
    "folk": Style(folk, (80, 125), BOTH, ("flute", "plucked", "strings", "harpsichord"), loose=0.008),
    "reggae": Style(reggae, (70, 95), BOTH, ("brass", "organ", "flute", "saw"), loose=0.006),
    "rock": Style(rock, (100, 155), BOTH, ("saw", "brass", "organ", "square"), loose=0.005),
    "swing": Style(swing, (110, 190), BOTH, ("brass", "piano", "flute", "bells"), loose=0.006),
    "techno": Style(techno, (118, 138), ("minor",), ("saw", "organ", "square", "brass")),
    "waltz": Style(waltz, (90, 165), BOTH, ("piano", "strings", "flute", "brass"), beats=3, loose=0.01),
}
"""Every style by its name."""
