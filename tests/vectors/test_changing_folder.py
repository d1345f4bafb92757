"""A vectors folder that changes while it is opened."""

import numpy as np

from audiomae.vectors import vectors as module
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter


def write_vectors(folder, parts):
    settings = {
        "model_fingerprint": "m",
        "corpus_fingerprint": "c",
        "layer": 2,
        "pool": "mean",
        "hop_seconds": 5.0,
    }
    writer = VectorsWriter(folder, settings, 4)
    for part in parts:
        writer.add_part(
            [TrackClips(f"song-{n}", np.arange(3) * 5.0, np.full((3, 4), n + 1.0, np.float32)) for n in part]
        )
    writer.finish({})
    return folder


def test_a_folder_that_changes_while_it_is_opened_is_read_again(tmp_path, monkeypatch):
    folder = write_vectors(tmp_path / "v", ((0, 1), (2,)))
    later = write_vectors(tmp_path / "later", ((0,), (1,)))
    real = module.read_part

    def change_then_read(path, fingerprint):
        monkeypatch.setattr(module, "read_part", real)
        for name in (
            "clips/part-00000.parquet",
            "clips/part-00001.parquet",
            "tracks.parquet",
            "vectors.json",
        ):
            (later / name).replace(folder / name)
        return real(path, fingerprint)

    monkeypatch.setattr(module, "read_part", change_then_read)
    assert Vectors.open(folder).track_ids == ["song-0", "song-1"]


def test_files_that_are_committed_and_still_to_be_moved_count(tmp_path):
    folder = write_vectors(tmp_path / "v", ((0, 1), (2,)))
    later = write_vectors(tmp_path / "later", ((0, 1),))
    (folder / ".commit").mkdir()
    for name in ("tracks.parquet", "vectors.json"):
        (later / name).replace(folder / ".commit" / name)
    assert Vectors.open(folder).track_ids == ["song-0", "song-1"]
