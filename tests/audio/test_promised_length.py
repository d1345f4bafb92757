"""What a header says of a song's length, compared with what is there: at which difference it is told, and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio.decode import MISSING_SECONDS, TOLD_LOSSLESS, TOLD_SECONDS, decode_blocks
from audiomae.errors import DecodeError

FRAME_SECONDS, DELAY_SECONDS = 1152 / 44_100, 1105 / 44_100
"""Length of a frame, and of the delay of LAME that a header counts and a decoder takes off."""


def song_whose_header_counts(path: Path, more: int) -> Path:
    """Write an MP3 of 6 s whose header counts some frames more than there are."""
    sound = 0.1 * np.random.default_rng(0).normal(size=6 * 44_100)
    soundfile.write(path, sound.astype(np.float32), 44_100, format="MP3")
    raw = bytearray(path.read_bytes())
    place = max(raw.find(b"Xing"), raw.find(b"Info")) + 8
    count = int.from_bytes(raw[place : place + 4], "big") + more
    raw[place : place + 4] = count.to_bytes(4, "big")
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("more", [-9, 0, 2, 3, 6])
def test_a_difference_is_told_from_a_tenth_of_a_second_on(tmp_path, more):
    notes: list[str] = []
    found = sum(
        len(part)
        for part in decode_blocks(song_whose_header_counts(tmp_path / "a.mp3", more), 16_000, notes=notes)
    )
    assert found / 16_000 == pytest.approx(6, abs=0.05)
    told = [note for note in notes if note.startswith("its header says")]
    assert bool(told) == (abs(more * FRAME_SECONDS + DELAY_SECONDS) > TOLD_SECONDS)


@pytest.mark.parametrize("more", [7, 40])
def test_a_song_that_lacks_more_than_a_fifth_of_a_second_is_refused(tmp_path, more):
    assert more * FRAME_SECONDS + DELAY_SECONDS > MISSING_SECONDS > 6 * FRAME_SECONDS + DELAY_SECONDS
    with pytest.raises(DecodeError, match=r"truncated: 6\.01 s of [67]\.\d\d s are there"):
        list(decode_blocks(song_whose_header_counts(tmp_path / "a.mp3", more), 16_000))


def test_the_guide_states_these_limits():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "vectors.md").read_text(
        encoding="utf-8"
    )
    assert f"by more than {MISSING_SECONDS} s is refused" in guide
    assert (
        f"A difference from {TOLD_SECONDS} s on, either way\n({TOLD_LOSSLESS} s in lossless files)" in guide
    )
