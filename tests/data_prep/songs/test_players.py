"""Tracker modules and MIDI files, rendered by stand-ins for their players."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from data_prep.songs import players


def player(folder, name, *, status=0):
    """A player that copies a WAV to the file it is told to write."""
    soundfile.write(folder / "played.wav", np.zeros(800), 16_000)
    place = 'out="$4"' if name == "openmpt123" else 'out="$5"'
    (folder / name).write_text(f'#!/bin/sh\n{place}\n/bin/cp {folder}/played.wav "$out"\nexit {status}\n')
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("installed", [True, False])
def test_modules_and_midi_are_rendered_where_a_player_is_installed(tmp_path, monkeypatch, caplog, installed):
    (tmp_path / "bin").mkdir()
    (tmp_path / "sf2").mkdir()
    (tmp_path / "sf2" / "a.sf2").touch()
    files = [tmp_path / name for name in ("a.xm", "b.MOD", "c.mid")]
    for file in files:
        file.write_bytes(b"x")
    if installed:
        player(tmp_path / "bin", "openmpt123")
        player(tmp_path / "bin", "fluidsynth")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(players, "SOUNDFONTS", (str(tmp_path / "sf2"),))
    made = players.render(files)
    if installed:
        assert [path.name for path in made] == ["a.xm.wav", "b.MOD.wav", "c.mid.wav"]
        player(tmp_path / "bin", "openmpt123", status=1)
        assert players.render(files[:1]) == []
        assert caplog.messages == ["left out a.xm: it could not be rendered (openmpt123 exits with 1)"]
        monkeypatch.setattr(players, "SOUNDFONTS", ())
        assert players.render(files[2:]) == []
        assert caplog.messages[1:] == [
            "left out 1 MIDI files: a soundfont, which plays them, is not installed"
        ]
    else:
        assert made == []
        assert caplog.messages == [
            "left out 2 tracker modules: openmpt123, which plays them, is not installed",
            "left out 1 MIDI files: FluidSynth, which plays them, is not installed",
        ]
