"""Sounds made from numbers: pitched instruments, drums and the room around them, all in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["INSTRUMENTS", "SAMPLE_RATE", "Note", "hit_drum", "master", "play", "vary_timbre"]

SAMPLE_RATE = 22_050
TABLE = 4096
"""Samples in one stored period of a tone."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Note:
    """One note: `start` and `seconds` in seconds, `pitch` in MIDI numbers (69 is 440 Hz), `gain` linear."""

    start: float
    seconds: float
    pitch: float
    gain: float = 1.0


@dataclass(frozen=True)
class Timbre:
    """What makes an instrument sound like itself.

    Attributes:
        slope: Fall of the partials: partial n starts at n**-slope.
        even: Level of the even partials; 0 sounds hollow.
        damping: How much faster the high partials die than the low ones; 0 keeps the colour still.
        attack: Seconds until full level.
        decay: Seconds in which the level falls by a factor e; 0 holds it.
        release: Seconds to fade once the note ends.
        detune: Cents between the outer ones of three voices; 0 is one voice.
        vibrato: Cents of slow pitch swing.
        breath: Level of the noise blown along.
        partials: Strengths of the first partials, in place of the slope.
    """

    slope: float = 1.2
    even: float = 1.0
    damping: float = 0.0
    attack: float = 0.005
    decay: float = 0.0
    release: float = 0.05
    detune: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0
    partials: tuple[float, ...] = ()


INSTRUMENTS = {
    "bells": Timbre(partials=(1, 0, 0, 0.5, 0, 0, 0, 0, 0, 0.2), attack=0.002, decay=0.8, release=0.3),
    "brass": Timbre(slope=1.0, attack=0.06, release=0.08, vibrato=6),
    "flute": Timbre(slope=2.6, even=0.6, attack=0.07, release=0.09, vibrato=18, breath=0.03),
    "harpsichord": Timbre(slope=0.6, damping=0.8, attack=0.002, decay=0.45, release=0.06),
    "organ": Timbre(partials=(1, 0.8, 0.6, 0.5, 0, 0.3, 0, 0.25), attack=0.012, release=0.04, detune=4),
    "piano": Timbre(slope=1.5, damping=1.0, attack=0.003, decay=0.9, release=0.12, detune=2),
    "plucked": Timbre(slope=1.0, damping=1.6, attack=0.002, decay=0.5, release=0.15),
    "saw": Timbre(slope=1.0, attack=0.008, release=0.04, detune=18),
    "square": Timbre(slope=1.0, even=0.0, attack=0.002, release=0.01),
    "strings": Timbre(slope=1.3, attack=0.2, release=0.35, detune=14, vibrato=10),
}


def vary_timbre(timbre: Timbre, rng: np.random.Generator) -> Timbre:
    """Return the same instrument from another maker: colour, touch and tuning differ a little."""
    return replace(
        timbre,
        slope=timbre.slope * float(rng.uniform(0.8, 1.35)),
        damping=timbre.damping * float(rng.uniform(0.5, 1.6)),
        attack=timbre.attack * float(rng.uniform(0.6, 2.0)),
        decay=timbre.decay * float(rng.uniform(0.6, 1.7)),
        release=timbre.release * float(rng.uniform(0.7, 2.0)),
        detune=timbre.detune * float(rng.uniform(0.5, 1.8)),
        vibrato=timbre.vibrato * float(rng.uniform(0.3, 1.6)),
        partials=tuple(strength * float(rng.uniform(0.5, 1.5)) for strength in timbre.partials),
    )


def play(notes: Sequence[Note], timbre: Timbre, samples: int, rng: np.random.Generator) -> Samples:
    """Play notes on one instrument.

    Args:
        notes: Notes; what sounds past the end is cut.
        timbre: The instrument.
        samples: Length of the result, at `SAMPLE_RATE`.
        rng: Source of the phases and the breath.

    Returns:
        (samples,) float32, not normalised.
    """
    out = np.zeros(samples, np.float32)
    heard: dict[tuple[float, float], Samples] = {}
    tables: dict[float, tuple[Samples, Samples]] = {}
    for note in notes:
        first = round(note.start * SAMPLE_RATE)
        if not 0 <= first < samples:
            continue
        key = (note.pitch, round(note.seconds, 3))
        if key not in heard:
            if note.pitch not in tables:
                tables[note.pitch] = _one_period(note.pitch, timbre)
            heard[key] = _tone(*key, timbre, *tables[note.pitch], rng)
        tone = heard[key][: samples - first]
        out[first : first + len(tone)] += np.float32(note.gain) * tone
    return out


def hit_drum(name: str, seed: np.random.Generator, *, pitch: float = 1.0, length: float = 1.0) -> Samples:
    """Return one stroke of a drum.

    Args:
        name: kick, snare, clap, hat, ride, rim or shaker.
        seed: Source of the noise.
        pitch: Factor on the drum's tone.
        length: Factor on its decay.

    Returns:
        (samples,) float32 with its peak at 1.
    """
    # tone Hz, fall of the pitch in Hz, tone decay s, noise level, noise decay s, high-pass steps on the noise
    tone, sweep, ring, noise, hiss, steps = {
        "kick": (48.0, 160.0, 0.11, 0.08, 0.004, 1),
        "snare": (185.0, 60.0, 0.05, 0.9, 0.075, 1),
        "clap": (900.0, 0.0, 0.008, 1.0, 0.06, 2),
        "hat": (0.0, 0.0, 0.01, 1.0, 0.022, 3),
        "ride": (0.0, 0.0, 0.01, 1.0, 0.16, 3),
        "rim": (720.0, 0.0, 0.018, 0.25, 0.006, 1),
        "shaker": (0.0, 0.0, 0.01, 1.0, 0.035, 2),
    }[name]
    ring, hiss = ring * length, hiss * length
    time = (
        np.arange(round(6 * max(ring if tone else 0.0, hiss) * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    )
    turns = pitch * (tone * time - sweep * 0.03 * np.exp(-time / 0.03))
    stroke = np.sin(2 * np.pi * turns) * np.exp(-time / ring) if tone else np.zeros_like(time)
    rattle = seed.standard_normal(len(time) + steps, dtype=np.float32)
    for _ in range(steps):
        rattle = np.diff(rattle)
    stroke = stroke + noise * 0.4 * rattle / (rattle.std() + 1e-9) * np.exp(-time / hiss)
    return np.asarray(stroke / np.abs(stroke).max(), np.float32)


def master(
    dry: Samples,
    rng: np.random.Generator,
    *,
    room_seconds: float,
    wet: float,
    tilt_db: float,
    low_hz: float,
    high_hz: float,
    noise_db: float,
    level_db: float,
) -> Samples:
    """Put a mix into a room, colour it as a recording would, and set its level.

    Args:
        dry: (samples,) float32 at `SAMPLE_RATE`.
        rng: Source of the room's echoes and the noise.
        room_seconds: Time in which the echoes fall by 60 dB.
        wet: Level of the echoes against the direct sound.
        tilt_db: Slope of the recording's colour, dB an octave around 1 kHz.
        low_hz: Half-power frequency below which it fades.
        high_hz: Half-power frequency above which it fades.
        noise_db: Level of the noise floor against the music, dB.
        level_db: Root-mean-square level of the result, dB below full scale (a negative number).

    Returns:
        (samples,) float32 inside [-1, 1].
    """
    size = 1 << (len(dry) + round(room_seconds * SAMPLE_RATE) - 1).bit_length()
    time = np.arange(round(room_seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    echoes = rng.standard_normal(len(time), dtype=np.float32) * np.exp(-6.9 * time / room_seconds)
    echoes *= wet / (np.linalg.norm(echoes) + 1e-9)
    echoes[0] += 1.0
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32)
    hz[0] = hz[1]
    colour = (hz / 1000) ** np.float32(tilt_db / 6.02)
    colour /= np.sqrt((1 + (low_hz / hz) ** 4) * (1 + (hz / high_hz) ** 4))
    spectrum = np.fft.rfft(dry, size) * np.fft.rfft(echoes, size) * colour
    mix = np.fft.irfft(spectrum, size)[: len(dry)].astype(np.float32)
    loudness = float(np.sqrt(np.mean(mix**2))) + 1e-9
    mix += rng.standard_normal(len(mix), dtype=np.float32) * np.float32(loudness * 10 ** (noise_db / 20))
    mix *= np.float32(10 ** (level_db / 20) / loudness)
    np.tanh(mix, out=mix)
    fade = np.minimum(1, np.arange(len(mix), 0, -1, dtype=np.float32) / (0.5 * SAMPLE_RATE))
    return np.asarray(mix * fade, np.float32)


def _one_period(pitch: float, timbre: Timbre) -> tuple[Samples, Samples]:
    """One period of the tone as it starts and as it ends, without partials above the Nyquist frequency."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    number = np.arange(1, max(2, int(0.45 * SAMPLE_RATE / hz) + 1))
    if timbre.partials:
        strength = np.resize(np.append(timbre.partials, np.zeros(len(number))), len(number))
    else:
        strength = number**-timbre.slope * np.where(number % 2, 1.0, timbre.even)
    tables = []
    for fall in (0.0, timbre.damping):
        lines = np.zeros(TABLE // 2 + 1, np.complex64)
        kept = min(len(number), TABLE // 2)
        lines[1 : kept + 1] = (-0.5j * TABLE * strength * number**-fall)[:kept]
        tables.append(np.fft.irfft(lines, TABLE).astype(np.float32))
    scale = np.float32(1 / (tables[0].std() + 1e-9))
    return (tables[0] * scale).astype(np.float32), (tables[1] * scale).astype(np.float32)


def _tone(
    pitch: float, seconds: float, timbre: Timbre, bright: Samples, dark: Samples, rng: np.random.Generator
) -> Samples:
    """One note of one instrument, from its stored periods."""
    time = np.arange(round((seconds + 3 * timbre.release) * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    hz = 440 * 2 ** ((pitch - 69) / 12)
    swing: Samples = np.zeros(1, np.float32)
    if timbre.vibrato:
        rate = rng.uniform(4.5, 6.5)
        swing = np.sin(2 * np.pi * rate * time, dtype=np.float32) * (
            hz * timbre.vibrato / 1200 * np.log(2) / (2 * np.pi * rate)
        )
    # A decay much shorter than the note leaves the dark period alone, much longer only the bright one.
    fade = np.exp(-time / (0.35 * timbre.decay)) if timbre.damping and timbre.decay else None
    out = np.zeros_like(time)
    voices = (-0.5, 0.0, 0.5) if timbre.detune else (0.0,)
    for cents in voices:
        turns = (
            time * np.float32(hz * 2 ** (cents * timbre.detune / 1200)) + swing + np.float32(rng.uniform())
        )
        place = (turns * TABLE).astype(np.int32) & (TABLE - 1)
        out += bright[place] if fade is None else dark[place] + (bright - dark)[place] * fade
    out /= len(voices)
    if timbre.breath:
        out += timbre.breath * rng.standard_normal(len(time), dtype=np.float32)
    level = np.minimum(1, time / timbre.attack)
    if timbre.decay:
        level *= np.exp(-time / timbre.decay)
    ending = len(time) - round(3 * timbre.release * SAMPLE_RATE)
    level[ending:] *= np.exp(-(time[ending:] - seconds) / timbre.release)
    return (out * level).astype(np.float32)
