from __future__ import annotations

import json
import shutil

import numpy as np

from audiomae.cli.main import main
from audiomae.errors import StorageError
from audiomae.model.whitening import Whitening
from audiomae.vectors.vectors import Vectors


def test_a_line_says_what_was_made_and_whether_there_was_anything_to_do(
    tiny_model, small_corpus, tmp_path, capsys
):
    command = ["export", str(tiny_model), str(small_corpus), "--out", str(tmp_path / "v"), "--threads", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'v'}: 6 tracks, 12 clips, 160 values each (layer 2, freq_concat), ")
    assert Vectors.open(tmp_path / "v").meta["fingerprint"] in said
    assert "already complete" not in said
    assert main(command) == 0
    assert capsys.readouterr().out == f"{said}already complete, nothing to do\n"


def test_the_result_is_json_where_that_is_asked_for(tiny_model, small_corpus, tmp_path, capsys):
    command = ["export", str(tiny_model), str(small_corpus), "--out", str(tmp_path / "v"), "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tracks"], told["clips"], told["found_complete"]) == (6, 12, False)


def test_files_that_cannot_be_used_are_notes_on_stderr(tiny_model, tones, tmp_path, capsys):
    songs = shutil.copytree(tones, tmp_path / "songs")
    (songs / "broken.wav").write_text("no audio")
    assert main(["export", str(tiny_model), str(songs), "--out", str(tmp_path / "v"), "--threads", "1"]) == 0
    said = capsys.readouterr()
    assert f"left out {songs / 'broken.wav'}: not audio" in said.err
    assert "left out: 1 song that could not be used" in said.out


def test_a_model_that_cannot_be_written_to_is_a_note(tiny_model, small_corpus, tmp_path, capsys, monkeypatch):
    model, save = shutil.copytree(tiny_model, tmp_path / "run"), Whitening.save

    def refuse(self, path):
        if path.is_relative_to(model):
            raise StorageError("read-only.")
        save(self, path)

    monkeypatch.setattr(Whitening, "save", refuse)
    command = ["export", str(model), str(small_corpus), "--out", str(tmp_path / "v"), "--whiten", "3"]
    assert main(command) == 0
    assert "read-only. The vectors folder keeps a copy." in capsys.readouterr().err
    assert np.isfinite(Vectors.open(tmp_path / "v").track_vectors).all()
