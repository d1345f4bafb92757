"""A second run over a corpus: what it decodes again, what it takes as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiomae.audio.mel import MelSettings
from audiomae.corpus import build as pipeline
from audiomae.corpus import pool
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import Song
from audiomae.errors import FingerprintError


def test_a_second_run_decodes_only_new_and_changed_songs(
    write_song, prepare, files, songs, tmp_path, decoded
):
    write_song(songs / "short.wav", 50, seconds=1)
    prepare(songs, tmp_path / "out")
    before = files(tmp_path / "out")
    decoded.clear()
    assert prepare(songs, tmp_path / "out").known == 7
    assert decoded == []
    assert files(tmp_path / "out") == before

    write_song(songs / "2.wav", 99)
    write_song(songs / "a new one.wav", 7)
    summary = prepare(songs, tmp_path / "out")
    assert sorted(decoded) == ["2.wav", "a new one.wav"]
    assert (summary.added, summary.known, summary.tracks) == (2, 6, 7)
    after = files(tmp_path / "out")
    assert after["mels/shard-00000.npy"] == before["mels/shard-00000.npy"]
    corpus = Corpus.open(tmp_path / "out")
    assert [Path(path).name for path in corpus.tracks["path"].to_pylist()] == [
        *("0.wav", "1.wav", "3.wav", "4.wav", "5.wav"),
        *("2.wav", "a new one.wav"),
    ]
    assert corpus.mean == pytest.approx(
        np.mean(np.concatenate([corpus.mels(track) for track in range(7)]).astype(np.float64)), rel=1e-9
    )


def test_a_second_run_need_not_name_the_songs_that_are_there(write_song, prepare, songs, tmp_path, decoded):
    prepare(songs, tmp_path / "out")
    summary = prepare_corpus([Song(write_song(tmp_path / "more.wav", 77))], tmp_path / "out")
    assert (summary.tracks, summary.songs, summary.added) == (7, 1, 1)
    assert decoded[-1] == "more.wav"


def test_a_song_reached_by_another_spelling_of_its_path_is_the_same_song(
    prepare, songs, tmp_path, monkeypatch, decoded
):
    prepare(songs, tmp_path / "out")
    decoded.clear()
    monkeypatch.chdir(songs)
    same = [Song(Path("1.wav")), Song(Path("../songs/1.wav"))]
    summary = prepare_corpus(same, tmp_path / "out")
    assert decoded == []
    assert (summary.songs, summary.known, summary.duplicates) == (1, 1, 0)


def test_a_duplicate_comes_in_when_what_it_repeats_has_changed(write_song, prepare, songs, tmp_path, decoded):
    write_song(songs / "0 again.wav", 0)
    prepare(songs, tmp_path / "out")
    write_song(songs / "0 again.wav", 1234)
    decoded.clear()
    summary = prepare(songs, tmp_path / "out")
    assert decoded == ["0 again.wav", "0.wav"]
    assert (summary.tracks, summary.duplicates) == (7, 0)


def test_new_names_for_known_songs_are_taken_without_decoding(prepare, songs, tmp_path, decoded):
    prepare(songs, tmp_path / "out")
    decoded.clear()
    prepare_corpus([Song(songs / "1.wav", artist="Someone")], tmp_path / "out")
    assert decoded == []
    assert Corpus.open(tmp_path / "out").tracks["artist"].to_pylist() == ["", "Someone", "", "", "", ""]
    prepare_corpus([Song(songs / "1.wav", track_id="named")], tmp_path / "out")
    assert decoded == ["1.wav"]
    assert Corpus.open(tmp_path / "out").track_ids[-1] == "named"


def test_what_one_decoder_refused_is_tried_again_with_another(prepare, tmp_path, decoded, monkeypatch):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(200))
    prepare(tmp_path / "songs", tmp_path / "out")
    prepare(tmp_path / "songs", tmp_path / "out")
    assert decoded == ["a.m4a"]
    monkeypatch.setattr(pipeline, "decoder_versions", lambda: {"av": "99"})
    prepare(tmp_path / "songs", tmp_path / "out")
    prepare(tmp_path / "songs", tmp_path / "out")
    assert decoded == ["a.m4a"] * 2


@pytest.mark.parametrize(
    "reason",
    [
        "unreadable: Permission denied",
        "no memory: decoding it takes more than there is",
        "time-out: not decoded within 60 minutes",
        "decoder crashed: SIGKILL, twice",
        "no such file",
        "fetch: no answer",
    ],
)
@pytest.mark.usefixtures("alone")
def test_a_passing_fault_is_tried_again_at_the_next_run(
    write_song, prepare, rejects, tmp_path, monkeypatch, reason
):
    (tmp_path / "songs").mkdir()
    write_song(tmp_path / "songs" / "a.wav", 1)
    with monkeypatch.context() as patched:
        patched.setattr(pool, "prepare_song", lambda *_: {"reason": reason})
        prepare(tmp_path / "songs", tmp_path / "out")
    assert rejects(tmp_path / "out") == {"a.wav": reason}
    assert prepare(tmp_path / "songs", tmp_path / "out").tracks == 1
    assert rejects(tmp_path / "out") == {}


def test_a_rejected_file_is_not_tried_again_until_it_changes(write_song, prepare, rejects, tmp_path, decoded):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.wav").write_text("no audio")
    prepare(tmp_path / "songs", tmp_path / "out")
    prepare(tmp_path / "songs", tmp_path / "out")
    assert decoded == ["a.wav"]
    write_song(tmp_path / "songs" / "a.wav", 1)
    assert prepare(tmp_path / "songs", tmp_path / "out").rejected == {}
    assert rejects(tmp_path / "out") == {}


@pytest.mark.usefixtures("decoded")
def test_a_file_that_is_gone_is_rejected_if_new_and_kept_if_known(prepare, rejects, songs, tmp_path):
    prepare(songs, tmp_path / "out")
    named = [Song(path) for path in sorted(songs.iterdir())]
    (songs / "1.wav").unlink()
    assert prepare(songs, tmp_path / "out").tracks == 6
    assert prepare_corpus(named, tmp_path / "out").tracks == 6
    prepare_corpus([Song(tmp_path / "never.wav")], tmp_path / "out")
    assert rejects(tmp_path / "out") == {"never.wav": "no such file"}


@pytest.mark.usefixtures("decoded")
def test_other_mel_settings_are_refused_and_leave_the_corpus_alone(prepare, files, songs, tmp_path):
    prepare(songs, tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(FingerprintError, match=r"made with mel\.mels 80, not 64"):
        prepare(songs, tmp_path / "out", mel=MelSettings(mels=64))
    assert files(tmp_path / "out") == before
