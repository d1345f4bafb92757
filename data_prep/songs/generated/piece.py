"""A piece as it is written: bars, chords and parts, and the ways to fill them that styles share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from data_prep.songs.generated.synthesis import Note

__all__ = ["KEYS", "Piece"]

KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 3, 0, 4), (0, 0, 3, 4), (0, 1, 4, 0)),
    "minor": ((0, 5, 2, 6), (0, 3, 6, 0), (0, 6, 5, 6), (0, 3, 0, 4), (0, 5, 3, 0), (0, 0, 5, 6)),
}


@dataclass
class Part:
    """Notes for one instrument; `drive` above 0 distorts it."""

    instrument: str
    notes: list[Note] = field(default_factory=list)
    gain: float = 1.0
    drive: float = 0.0


@dataclass
class Piece:
    """A piece as it is written: who plays what in which bar.

    Attributes:
        rng: Source of every choice.
        tempo: Beats a minute.
        tonic: Pitch class of the key, 0 for C.
        mode: major or minor.
        beats: Beats in a bar.
        bars: Bars.
        lead: Instrument of the tune.
        loose: Standard deviation of the timing, seconds.
        parts: What the instruments play.
        hits: What the drums play: (drum, seconds, gain).
    """

    rng: np.random.Generator
    tempo: float
    tonic: int
    mode: str
    beats: int
    bars: int
    lead: str
    loose: float = 0.0
    parts: list[Part] = field(default_factory=list)
    hits: list[tuple[str, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        choices = PROGRESSIONS[self.mode]
        first, second = (choices[int(self.rng.integers(len(choices)))] for _ in range(2))
        self.chords = first + first + second + first

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI number of a degree of the scale; 0 is the tonic, 7 the tonic an octave up."""
        return 12 * octave + 12 + self.tonic + SCALES[self.mode][degree % 7] + 12 * (degree // 7)

    def chord(self, bar: int) -> int:
        """Degree of the scale on which a bar's chord stands."""
        return self.chords[bar % len(self.chords)]

    def seconds(self, bar: int, beat: float) -> float:
        """Time of a beat, played a little early or late."""
        exact = (bar * self.beats + beat) * 60 / self.tempo
        return max(0.0, exact + (float(self.rng.normal(0, self.loose)) if self.loose else 0.0))

    def add(self, part: Part, bar: int, beat: float, length: float, pitch: int, gain: float = 1.0) -> None:
        """Write one note; `beat` and `length` are in beats."""
        accent = gain * float(self.rng.uniform(0.8, 1.1))
        part.notes.append(Note(self.seconds(bar, beat), length * 60 / self.tempo, pitch, accent))

    def drum(self, name: str, beats: Sequence[float], gain: float, *, chance: float = 1.0) -> None:
        """Write a drum's pattern into every bar; `chance` is the share of strokes that are played."""
        resting = self.rests()
        for bar in range(self.bars):
            for beat in beats:
                if not resting[bar] and self.rng.uniform() < chance:
                    accent = gain * float(self.rng.uniform(0.75, 1.1))
                    self.hits.append((name, self.seconds(bar, beat), accent))

    def part(self, instrument: str, gain: float, drive: float = 0.0) -> Part:
        """Add an instrument."""
        self.parts.append(Part(instrument, gain=gain * float(self.rng.uniform(0.7, 1.3)), drive=drive))
        return self.parts[-1]

    def rests(self, chance: float = 0.12) -> list[bool]:
        """Draw for every bar whether a part is silent, two bars at a time; never all of them."""
        pairs = self.rng.uniform(size=self.bars // 2 + 1) < chance
        pairs[int(self.rng.integers(len(pairs)))] = False
        return [bool(pairs[bar // 2]) for bar in range(self.bars)]

    def tune(self, beats: Sequence[float], gain: float, octave: int = 4, *, length: float = 0.9) -> None:
        """Write a tune for the lead: chord notes on the first beat, steps and small leaps after it.

        A phrase of two bars comes back with other chords, as tunes do.
        """
        part, resting = self.part(self.lead, gain), self.rests(0.25)
        phrase = [(bar, beat) for bar in range(2) for beat in beats if beat == 0 or self.rng.uniform() < 0.75]
        steps = self.rng.choice([-2, -1, -1, 0, 1, 1, 2], len(phrase))
        for start in range(0, self.bars, 2):
            place = 0
            for index, (bar, beat) in enumerate(phrase):
                if start + bar >= self.bars or resting[start + bar]:
                    continue
                after = phrase[index + 1] if index + 1 < len(phrase) else (2, 0.0)
                gap = (after[0] - bar) * self.beats + after[1] - beat
                if beat == 0:
                    place = (self.chord(start + bar) + int(self.rng.choice([0, 2, 4]))) % 7
                else:
                    place = int(np.clip(place + steps[index], -3, 9))
                self.add(part, start + bar, beat, gap * length, self.pitch(place, octave))

    def chords_at(
        self, instrument: str, beats: Sequence[float], length: float, gain: float, *, octave: int = 3
    ) -> None:
        """Write triads at the given beats of every bar."""
        part, resting = self.part(instrument, gain / 3), self.rests()
        turn = int(self.rng.integers(3))
        for bar in range(self.bars):
            for beat in () if resting[bar] else beats:
                for step in (0, 2, 4):
                    degree = self.chord(bar) + step + (7 if step // 2 < turn else 0) - (7 if turn == 2 else 0)
                    self.add(part, bar, beat, length, self.pitch(degree, octave))

    def bass(self, instrument: str, line: Sequence[tuple[float, float, int]], gain: float) -> None:
        """Write a bass line: (beat, length, steps above the chord's root) in every bar."""
        part, resting = self.part(instrument, gain), self.rests(0.06)
        for bar in range(self.bars):
            for beat, length, step in () if resting[bar] else line:
                self.add(part, bar, beat, length, self.pitch(self.chord(bar) + step, 2))

    def one_of(self, *names: str) -> str:
        """Draw a name."""
        return names[int(self.rng.integers(len(names)))]
