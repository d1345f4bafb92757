from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audiomae.audio.decode import decode
from audiomae.audio.mel import LogMel, MelSettings
from audiomae.corpus import pool
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS, Song
from audiomae.corpus.worker import Limits
from audiomae.disk.files import locked
from audiomae.errors import ConfigError, DataError, StorageError

RATE = 16_000


@pytest.mark.usefixtures("decoded")
def test_a_corpus_holds_the_log_mels_of_its_songs_in_their_order(prepare, songs, tmp_path):
    summary = prepare(songs, tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    assert (summary.tracks, summary.added, summary.kept, summary.songs) == (6, 6, 6, 6)
    assert summary.hours == pytest.approx(36 / 3600)
    assert [Path(path).name for path in corpus.tracks["path"].to_pylist()] == [f"{n}.wav" for n in range(6)]
    waveforms = torch.from_numpy(decode(songs / "3.wav", RATE))[None]
    expected = LogMel(MelSettings())(waveforms)[0].numpy()
    # float16 holds 11 bits: half a step is 0.0078 below 32.
    np.testing.assert_allclose(corpus.mels(3).astype(np.float32), expected, atol=0.008)
    row = corpus.tracks.to_pylist()[3]
    assert row["track_id"] == row["content"][:16]
    assert row["title"] == "3"
    assert row["seconds"] == 6.0
    assert row["level"] == pytest.approx(-20, abs=0.2)
    assert row["bytes"] == (songs / "3.wav").stat().st_size
    assert summary.fingerprint == corpus.fingerprint
    assert corpus.meta["decoders"][0]["soxr"]


def test_the_number_of_workers_and_of_runs_changes_no_byte(prepare, files, songs, tmp_path):
    (songs / "35.wav").write_text("no audio")
    shutil.copy(songs / "1.wav", songs / "5b.wav")
    prepare(songs, tmp_path / "one", workers=1, shard_megabytes=0.2)
    prepare(songs, tmp_path / "three", workers=3, shard_megabytes=0.2)
    assert files(tmp_path / "one") == files(tmp_path / "three")
    assert len(list((tmp_path / "one" / "mels").iterdir())) == 3
    prepare(songs, tmp_path / "one", workers=2, shard_megabytes=0.2)
    assert files(tmp_path / "one") == files(tmp_path / "three")


@pytest.mark.usefixtures("decoded")
def test_the_same_content_is_kept_once_and_the_other_named(prepare, rejects, songs, tmp_path):
    pcm, _ = soundfile.read(songs / "0.wav", dtype="int16")
    soundfile.write(songs / "0 again.flac", pcm, RATE)
    summary = prepare(songs, tmp_path / "out")
    assert (summary.tracks, summary.duplicates, summary.rejected) == (6, 1, {})
    assert rejects(tmp_path / "out") == {"0.wav": f"duplicate: same content as {songs / '0 again.flac'}"}
    assert summary.kept == 7


@pytest.mark.usefixtures("decoded")
def test_names_given_by_the_source_stand_above_tags_and_ids_come_once(write_song, rejects, songs, tmp_path):
    tagged = write_song(songs / "tagged.ogg", 60, format="OGG", subtype="VORBIS")
    import mutagen

    file = mutagen.File(tagged, easy=True)
    file.update({"title": "Own\nTitle", "artist": ["First", "Second"], "genre": "Folk"})
    file.save()
    given = [
        Song(tagged, track_id="x/1", genre="Jazz"),
        Song(songs / "1.wav", track_id="x/1"),
        Song(songs / "2.wav", track_id="x/2", title="Two"),
    ]
    prepare_corpus(given, tmp_path / "out")
    rows = {row["track_id"]: row for row in Corpus.open(tmp_path / "out").tracks.to_pylist()}
    assert sorted(rows) == ["x/1", "x/2"]
    assert [rows["x/1"][field] for field in TAGS] == [
        "Own Title",
        "First",
        "",
        "Jazz",
    ]
    assert rows["x/2"]["title"] == "Two"
    assert rejects(tmp_path / "out") == {"1.wav": f"track_id taken: 'x/1' is {tagged}"}
    assert prepare_corpus(given, tmp_path / "out").known == 3
    again = [Song(songs / "1.wav", track_id="x/3")]
    assert prepare_corpus(again, tmp_path / "out").added == 1


@pytest.mark.usefixtures("decoded")
@pytest.mark.parametrize(
    "name", ["ünïcode ☂ 音楽.wav", "a b'c\"d.wav", "-rf.wav", "$(x);[red].wav", "new\nline.wav"]
)
def test_any_file_name_is_taken(write_song, prepare, tmp_path, name):
    path = write_song(tmp_path / "songs" / name, 1)
    assert prepare(tmp_path / "songs", tmp_path / "out").tracks == 1
    assert Corpus.open(tmp_path / "out").tracks["path"].to_pylist() == [str(path)]


@pytest.mark.usefixtures("decoded")
def test_a_file_name_that_is_no_unicode_is_rejected_by_name(write_song, rejects, tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    shutil.move(write_song(tmp_path / "plain.wav", 1), raw)
    songs = [Song(Path(os.fsdecode(raw))), Song(write_song(tmp_path / "plain.wav", 2))]
    assert prepare_corpus(songs, tmp_path / "out").tracks == 1
    assert rejects(tmp_path / "out") == {"caf\\xe9.wav": "name: not valid UTF-8; rename the file"}


def test_short_and_silent_songs_are_rejected_and_tried_again_under_other_limits(
    write_song, prepare, rejects, tmp_path, decoded
):
    write_song(tmp_path / "songs" / "short.wav", 1, seconds=4.9)
    write_song(tmp_path / "songs" / "long.wav", 2, seconds=5.0)
    for name, offset in (("silent", 0.0), ("constant", 0.5)):
        soundfile.write(tmp_path / "songs" / f"{name}.wav", np.full(6 * RATE, offset), RATE, subtype="FLOAT")
    soundfile.write(
        tmp_path / "songs" / "faint.wav",
        1e-4 * np.sqrt(2) * np.sin(np.arange(6 * RATE) * 0.2) * 0.9,
        RATE,
        subtype="FLOAT",
    )
    summary = prepare(tmp_path / "songs", tmp_path / "out")
    assert summary.rejected == {"silent": 3, "too short": 1}
    assert rejects(tmp_path / "out") == {
        "short.wav": "too short: 4.90 s is below 5 s",
        "silent.wav": "silent: -inf dBFS is below -80 dBFS",
        "constant.wav": "silent: -inf dBFS is below -80 dBFS",
        "faint.wav": "silent: -80.9 dBFS is below -80 dBFS",
    }
    decoded.clear()
    prepare(tmp_path / "songs", tmp_path / "out", limits=Limits(shortest_seconds=4))
    assert decoded == ["short.wav"]
    prepare(tmp_path / "songs", tmp_path / "out", limits=Limits(shortest_seconds=4, quietest_dbfs=-90))
    assert sorted(decoded) == ["constant.wav", "faint.wav", "short.wav", "silent.wav"]
    assert len(Corpus.open(tmp_path / "out")) == 3


def test_two_runs_into_one_folder_at_a_time_are_refused(prepare, songs, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(DataError, match="another audiomae process is writing here"):
        prepare(songs, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"workers": -1}, "workers is -1"), ({"shard_megabytes": 0}, "shard_megabytes is 0")],
)
def test_settings_out_of_range_are_refused(prepare, songs, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        prepare(songs, tmp_path / "out", **settings)


@pytest.mark.usefixtures("alone")
def test_a_full_disk_is_one_line_and_leaves_the_corpus_as_it_was(
    write_song, prepare, files, songs, tmp_path, monkeypatch
):
    prepare(songs, tmp_path / "out")
    before = files(tmp_path / "out")
    write_song(songs / "new.wav", 70)
    monkeypatch.setattr(pool, "prepare_song", full)  # forked workers started before do not see it
    with pytest.raises(
        StorageError, match=r"No space left on device\)\. What was there before is intact"
    ) as caught:
        prepare(songs, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "out") == before
    monkeypatch.undo()
    assert prepare(songs, tmp_path / "out").tracks == 7


def full(*_: object) -> dict[str, Any]:
    raise OSError(28, "No space left on device")


def test_mel_settings_in_whole_numbers_are_those_that_the_corpus_is_opened_with(prepare, songs, tmp_path):
    mel = MelSettings(sample_rate=8_000, n_fft=512, hop_samples=80, mels=40, low_hz=50, high_hz=4_000)
    assert prepare(songs, tmp_path / "out", mel=mel, workers=1).tracks == len(Corpus.open(tmp_path / "out"))
    assert Corpus.open(tmp_path / "out").mel == mel
