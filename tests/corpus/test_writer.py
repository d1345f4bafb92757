from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomae.audio.mel import MelSettings
from audiomae.corpus import writer as shards
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.corpus.writer import CorpusWriter
from audiomae.errors import FingerprintError, MissingError, StorageError

MEL = MelSettings(mels=8, n_fft=512)
FRAME_BYTES = 16


def row(number: int, frames: int, **changes: Any) -> dict[str, Any]:
    values = dict.fromkeys(TAGS, "")
    values |= {
        "track_id": f"t{number}",
        "path": f"/songs/{number}",
        "content": f"c{number}",
        "seconds": frames / 100,
    }
    values |= {"frames": frames, "level": -10.0, "bytes": 1, "modified_ns": 1}
    return {**values, "mel_sum": 8.0 * frames * number, "mel_square_sum": 8.0 * frames * number**2, **changes}


def reject(number: int) -> dict[str, Any]:
    return {"path": f"/songs/{number}", "reason": "silent: so", "content": "", "bytes": 1, "modified_ns": 1}


def add(writer: CorpusWriter, spool: Path, number: int, frames: int = 10, **changes: Any) -> None:
    """Add a track whose every value is its number."""
    path = spool / str(number)
    np.full((frames, 8), number, "<f2").tofile(path)
    writer.add(row(number, frames, **changes), path)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_tracks(folder: Path, frames: list[int], **settings: Any) -> Corpus:
    writer = CorpusWriter(folder, MEL, **settings)
    with writer.spool() as spool:
        for number, count in enumerate(frames):
            add(writer, spool, number, count)
        writer.commit({"soxr": "1"})
    return Corpus.open(folder)


def test_tracks_lie_one_after_another_and_a_shard_ends_before_it_grows_too_large(tmp_path):
    corpus = write_tracks(tmp_path / "c", [10, 20, 15, 90, 5, 5], shard_bytes=40 * FRAME_BYTES)
    assert corpus.tracks["shard"].to_pylist() == [0, 0, 1, 2, 3, 3]
    assert corpus.tracks["first_frame"].to_pylist() == [0, 10, 0, 0, 0, 5]
    for track in range(6):
        assert np.unique(corpus.mels(track)).tolist() == [track]
    assert corpus.mean == pytest.approx(np.average(range(6), weights=[10, 20, 15, 90, 5, 5]))
    assert sorted(files(tmp_path / "c")) == [
        "corpus.json",
        *(f"mels/shard-0000{number}.npy" for number in range(4)),
        "rejects.parquet",
        "tracks.parquet",
    ]


def test_without_a_commit_nothing_counts(tmp_path):
    write_tracks(tmp_path, [10])
    before = files(tmp_path)
    writer = CorpusWriter(tmp_path, MEL)
    with writer.spool() as spool:
        add(writer, spool, 7)
    CorpusWriter(tmp_path, MEL)
    assert files(tmp_path) == before


def test_a_run_cut_after_any_shard_goes_on_to_the_same_bytes(tmp_path):
    def steps(writer: CorpusWriter, spool: Path, first: int, last: int) -> None:
        for number in range(first, last):
            if number % 3 == 2:
                writer.reject(reject(number))
            else:
                add(writer, spool, number)

    whole = CorpusWriter(tmp_path / "whole", MEL, shard_bytes=20 * FRAME_BYTES)
    with whole.spool() as spool:
        steps(whole, spool, 0, 12)
        whole.commit({})
    for cut in range(13):
        folder = tmp_path / f"cut{cut}"
        writer = CorpusWriter(folder, MEL, shard_bytes=20 * FRAME_BYTES)
        with writer.spool() as spool:
            steps(writer, spool, 0, cut)
        writer = CorpusWriter(folder, MEL, shard_bytes=20 * FRAME_BYTES)
        known = len(writer.tracks) + len(writer.rejects)
        assert known <= cut
        with writer.spool() as spool:
            steps(writer, spool, known, 12)
            writer.commit({})
        assert files(folder) == files(tmp_path / "whole")


@pytest.mark.parametrize("renames", range(4))
def test_a_commit_cut_between_its_renames_is_finished_by_the_next_run(tmp_path, monkeypatch, renames):
    write_tracks(tmp_path / "whole", [10, 20])
    write_tracks(tmp_path / "cut", [10])
    real, count = Path.replace, 0

    def stop(path: Path, target: Path) -> Path:
        nonlocal count
        if path.parent.name == ".commit":
            if count == renames:
                raise KeyboardInterrupt
            count += 1
        return real(path, target)

    writer = CorpusWriter(tmp_path / "cut", MEL)
    with writer.spool() as spool, monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        patch.setattr(shards.shutil, "rmtree", lambda *_, **__: None)
        add(writer, spool, 1, 20)
        if renames < 3:
            with pytest.raises(KeyboardInterrupt):
                writer.commit({"soxr": "1"})
        else:
            writer.commit({"soxr": "1"})
    assert (tmp_path / "cut" / ".commit").is_dir()
    CorpusWriter(tmp_path / "cut", MEL)
    corpus = Corpus.open(tmp_path / "cut")
    assert corpus.track_ids == ["t0", "t1"]
    assert not (tmp_path / "cut" / ".commit").exists()


def test_a_corpus_in_the_middle_of_a_commit_is_refused_rather_than_read_wrongly(tmp_path, monkeypatch):
    write_tracks(tmp_path, [10])
    writer = CorpusWriter(tmp_path, MEL)
    with writer.spool() as spool, monkeypatch.context() as patch:
        add(writer, spool, 1)
        real = Path.replace

        def stop(path: Path, target: Path) -> Path:
            if path.name == "corpus.json" and path.parent.name == ".commit":
                raise KeyboardInterrupt
            return real(path, target)

        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            writer.commit({})
    with pytest.raises(MissingError, match=r"does not fit corpus\.json; preparing was cut short"):
        Corpus.open(tmp_path)


def test_a_journal_entry_whose_shard_is_gone_is_done_again(tmp_path):
    writer = CorpusWriter(tmp_path, MEL, shard_bytes=10 * FRAME_BYTES)
    with writer.spool() as spool:
        for number in range(4):
            add(writer, spool, number)
    (tmp_path / "mels" / "shard-00001.npy").unlink()
    again = CorpusWriter(tmp_path, MEL, shard_bytes=10 * FRAME_BYTES)
    assert list(again.tracks) == ["/songs/0"]
    assert sorted(path.name for path in (tmp_path / "mels").iterdir()) == ["shard-00000.npy"]


def test_a_file_prepared_again_leaves_its_old_frames_and_an_emptied_shard_goes(tmp_path):
    write_tracks(tmp_path, [10, 10, 10], shard_bytes=20 * FRAME_BYTES)
    writer = CorpusWriter(tmp_path, MEL)
    with writer.spool() as spool:
        add(writer, spool, 2, 12, content="new")
        add(writer, spool, 0, 11, content="newer")
        writer.commit({"soxr": "1"})
    corpus = Corpus.open(tmp_path)
    assert corpus.track_ids == ["t1", "t2", "t0"]
    assert corpus.frames.tolist() == [10, 12, 11]
    assert [np.unique(corpus.mels(track)).tolist() for track in range(3)] == [[1], [2], [0]]
    assert corpus.mean == pytest.approx((1 * 10 + 2 * 12) / 33)
    assert sorted(path.name for path in (tmp_path / "mels").iterdir()) == [
        "shard-00000.npy",
        "shard-00002.npy",
    ]


def test_every_version_that_decoded_a_part_is_recorded_once(tmp_path):
    write_tracks(tmp_path, [10])
    for version in ("1", "2", "2"):
        CorpusWriter(tmp_path, MEL).commit({"soxr": version})
    assert json.loads((tmp_path / "corpus.json").read_text())["decoders"] == [{"soxr": "1"}, {"soxr": "2"}]


def test_other_mel_settings_are_refused_for_a_corpus_and_for_a_journal(tmp_path):
    write_tracks(tmp_path / "done", [10])
    line = r"made with mel\.mels 8, not 9; mel\.floor 1e-07, not 1e-06\. Use those settings, or another --out"
    other = MelSettings(mels=9, n_fft=512, floor=1e-6)
    with pytest.raises(FingerprintError, match=line):
        CorpusWriter(tmp_path / "done", other)
    writer = CorpusWriter(tmp_path / "begun", MEL)
    with writer.spool() as spool:
        add(writer, spool, 0)
        writer.close_shard()
    with pytest.raises(FingerprintError, match=line):
        CorpusWriter(tmp_path / "begun", other)


def test_a_disk_that_refuses_leaves_the_corpus_as_it_was(tmp_path, monkeypatch):
    write_tracks(tmp_path, [10])
    before = files(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("copyfileobj", "fsync"):
        writer = CorpusWriter(tmp_path, MEL)
        with writer.spool() as spool, monkeypatch.context() as patch:
            add(writer, spool, 1)
            patch.setattr(f"{'shutil' if broken == 'copyfileobj' else 'os'}.{broken}", full)
            with pytest.raises(
                StorageError, match=r"No space left on device\)\. What was there before is intact"
            ):
                writer.commit({})
        Corpus.open(tmp_path)
        CorpusWriter(tmp_path, MEL)
        assert files(tmp_path) == before


def test_a_spooled_file_of_another_size_is_not_written_into_a_shard(tmp_path):
    writer = CorpusWriter(tmp_path, MEL)
    with writer.spool() as spool:
        (spool / "short").write_bytes(bytes(100))
        writer.add(row(0, 10), spool / "short")
        with pytest.raises(StorageError, match="100 bytes of log-mels, not those of 10 frames"):
            writer.close_shard()


def test_a_corpus_without_tracks_can_be_written_and_read(tmp_path):
    writer = CorpusWriter(tmp_path, MEL)
    writer.reject(reject(0))
    writer.commit({})
    assert len(Corpus.open(tmp_path)) == 0
    assert list(CorpusWriter(tmp_path, MEL).rejects) == ["/songs/0"]
