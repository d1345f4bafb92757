"""Short clips as MP3, small enough to lie in a page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomae.disk.files import write_atomically

__all__ = ["encode_file", "encode_mp3"]

SQUEEZE = 0.8
"""libsndfile's compression level: 40 kbit/s at 16 kHz, mono."""

FADE_SECONDS = 0.02
PEAK = 0.9


def encode_mp3(samples: NDArray[np.floating], sample_rate: int) -> bytes:
    """Return mono samples as an MP3, faded at both ends and never beyond full scale.

    Args:
        samples: (samples,), in [-1, 1]; louder ones are brought down as a whole.
        sample_rate: Their rate, in Hz; one that MP3 knows, such as 16000.
    """
    sound = np.nan_to_num(np.asarray(samples, dtype=np.float32))
    fade = min(round(FADE_SECONDS * sample_rate), len(sound) // 2)
    if fade:
        ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        sound = np.concatenate([sound[:fade] * ramp, sound[fade:-fade], sound[-fade:] * ramp[::-1]])
    sound = sound * (PEAK / max(PEAK, float(np.abs(sound).max(initial=0.0))))
    held = io.BytesIO()
    soundfile.write(
        held,
        sound,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=SQUEEZE,
        bitrate_mode="CONSTANT",
    )
    return held.getvalue()


def encode_file(wave: Path) -> Path:
    """Write a WAV file's samples beside it as an MP3, and return the MP3."""
    samples, rate = soundfile.read(wave, dtype="float32")
    made = wave.with_suffix(".mp3")
    with write_atomically(made) as temporary:
        temporary.write_bytes(encode_mp3(samples, rate))
    return made
