"""The awkward files that people report, each with what it must give (a table beside the checkout)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from audiomae.audio.decode import decode_blocks
from audiomae.audio.mel import MelSettings
from audiomae.corpus.tags import read_tags
from audiomae.corpus.worker import Limits, prepare_song
from audiomae.errors import DecodeError
from audiomae.model.embedder import load

LOSSLESS = (".wav", ".flac")
OTHER_SONGS = ("opus_ffmpeg.opus", "opus_opusenc.opus")
TAGS = {"apeonly.mp3": 2, "t.wma": 4, "lyr3_nox.mp3": 4}


class Case(NamedTuple):
    """A row of the table."""

    path: Path
    seconds: float
    may_reject: bool


@pytest.fixture
def cases(shared) -> list[Case]:
    folder = shared / "cases" / "audio"
    if not (folder / "README.md").is_file():
        pytest.skip("the awkward audio files (../shared/cases/audio) are not beside this checkout")
    lines = (folder / "README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows[0][:4] == ["file", "kind", "seconds", "may_reject"]
    found = [Case(folder / row[0], float(row[2]), row[3].startswith("yes")) for row in rows[2:]]
    assert len(found) >= 15
    return found


@pytest.mark.shared
def test_each_file_is_read_whole_or_refused_where_that_is_right(cases):
    for case in cases:
        try:
            samples = sum(map(len, decode_blocks(case.path, 16_000)))
        except DecodeError:
            if not case.may_reject:
                raise
        else:
            assert samples / 16_000 == pytest.approx(case.seconds, abs=0.1), case.path.name


@pytest.mark.shared
def test_each_file_is_a_track_of_a_corpus(cases, tmp_path):
    for case in cases:
        result = prepare_song(case.path, tmp_path / "a.mel", MelSettings(), Limits())
        assert "reason" not in result or case.may_reject, result
        assert result.get("seconds", case.seconds) == pytest.approx(case.seconds, abs=0.1)


@pytest.mark.shared
def test_each_file_has_the_vector_of_the_song_it_was_made_from(cases, tiny_model):
    embedder = load(tiny_model)
    base = embedder.embed_files([cases[0].path.parent / "base.wav"])[0]
    for case in cases:
        if case.path.name in OTHER_SONGS:
            continue
        vector = embedder.embed_files([case.path])[0]
        cosine = np.dot(vector, base) / np.linalg.norm(vector) / np.linalg.norm(base)
        assert cosine > (0.99 if case.path.suffix in LOSSLESS else 0.95), case.path.name


@pytest.mark.shared
def test_opus_by_two_writers_has_one_vector(cases, tiny_model):
    folder = cases[0].path.parent
    one, other = load(tiny_model).embed_files([folder / name for name in OTHER_SONGS])
    assert np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other) > 0.99


@pytest.mark.shared
def test_tags_are_read_in_whatever_form_they_are_written(cases):
    for case in cases:
        tags = read_tags(case.path)
        assert sum(bool(text) for text in tags.values()) >= TAGS.get(case.path.name, 1), (
            case.path.name,
            tags,
        )
        if case.path.name in TAGS:
            assert tags["title"] != case.path.stem
