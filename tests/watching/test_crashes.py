"""Killed between any two steps of storing a change, the next run comes to the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from audiomae.disk import files
from audiomae.vectors.vectors import Vectors


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Lets so many operations on the disk pass, and none after that: not even those that would tidy up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder, self.left, self.dead = folder, 10**9, False
        for owner, name in (
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (os, "utime"),
            (shutil, "rmtree"),
        ):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), name))
        monkeypatch.setattr(files, "sweep", lambda _: 0)

    def counted(self, real, name):
        def step(*words, **named):
            path = str(words[0])
            if str(self.folder) not in path or ".corpus-" in path or (name == "unlink" and "tmp" in path):
                return real(*words, **named)
            if self.dead:
                raise Killed
            self.left -= 1
            if self.left < 0:
                self.dead = True
                raise Killed
            return real(*words, **named)

        return step


def change(songs: Path, song) -> None:
    """Add two songs, change one, move one and remove one that has a duplicate, and one that has none."""
    song(songs / "5.wav", 800)
    song(songs / "6.wav", 850)
    song(songs / "2.wav", 1000)
    (songs / "3.wav").rename(songs / "z.wav")
    (songs / "0.wav").unlink()
    (songs / "1.wav").unlink()


def test_killed_at_any_step_nothing_is_lost_and_the_next_run_comes_to_the_same(
    once, songs, song, state, monkeypatch, tmp_path
):
    shutil.copyfile(songs / "1.wav", songs / "7.wav")
    os.utime(songs / "7.wav", (1, 1))
    once(songs, part_clips=3)
    first, before = tmp_path / "first", state(tmp_path / "v")
    shutil.copytree(tmp_path / "v", first)
    change(songs, song)
    once(songs, part_clips=3)
    after = state(tmp_path / "v")
    assert before != after
    steps, readable = 0, 0
    while True:
        out = tmp_path / f"v{steps}"
        shutil.copytree(first, out)
        with monkeypatch.context() as patched:
            killer = Killer(patched, out)
            killer.left = steps
            try:
                once(songs, out, part_clips=3)
            except Killed:
                pass
        readable += len(Vectors.open(out).track_ids) >= 4
        done = once(songs, out, part_clips=3)
        assert state(out) == after
        assert not list(out.glob(".commit*"))
        if not killer.dead:
            break
        assert done.tracks == 6
        steps += 1
    assert steps > 12
    assert readable == steps + 1
