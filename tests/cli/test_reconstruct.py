from __future__ import annotations

from functools import partial

from audiomae.audio.mel import invert_log_mel
from audiomae.cli.main import main


def test_sentences_say_what_was_rebuilt_how_well_and_where_it_lies(
    tiny_model, tones, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("audiomae.verbs.reconstruct.invert_log_mel", partial(invert_log_mel, rounds=1))
    song = ["--song", str(tones / "tone-2.wav"), "--start_seconds", "0.5", "--out", str(tmp_path)]
    assert main(["reconstruct", str(tiny_model), *song]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("0.50 to 5.46 s: 71% of the patches masked, rebuilt with an error of ")
    assert second == f"picture: {tmp_path / 'reconstruction.png'}"
    assert third == "sounds, beside it: original.wav, masked.wav, rebuilt.wav"
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == [
        "masked.wav",
        "original.wav",
        "rebuilt.wav",
    ]
