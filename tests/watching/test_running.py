"""A watcher that runs on: it wakes, waits for files to lie still and for songs that are away, and ends when told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audiomae.vectors.vectors import Vectors
from audiomae.verbs import watch as watch_module
from audiomae.verbs.watch import WatchSettings, watch
from audiomae.watching import notice as notice_module
from audiomae.watching import watcher as watcher_module
from audiomae.watching.known import Stamp
from audiomae.watching.look import Settling, look_at
from audiomae.watching.watcher import Watcher


@pytest.fixture
def running(once, songs, tiny_model, tmp_path, monkeypatch) -> Iterator[Callable[[], Watcher]]:  # noqa: ARG001
    """What starts a watcher in a thread; it is ended after the test."""
    made: list[Watcher] = []
    real = watch_module.Watcher
    monkeypatch.setattr(
        watch_module, "Watcher", lambda *words, **named: made.append(real(*words, **named)) or made[-1]
    )
    threads = []

    def start() -> Watcher:
        settings = WatchSettings(
            str(songs), str(tmp_path / "v"), str(tiny_model), settle_seconds=0.3, rescan_seconds=1.0
        )
        threads.append(threading.Thread(target=watch, args=(settings,)))
        threads[-1].start()
        wait_until(lambda: bool(made))
        return made[-1]

    yield start
    for watcher in made:
        watcher.stop()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def count(folder: Path) -> int:
    return len(Vectors.open(folder).track_ids) if (folder / "vectors.json").exists() else -1


def test_songs_that_come_and_go_are_noticed(running, songs, song, tmp_path):
    running()
    wait_until(lambda: count(tmp_path / "v") == 5)
    song(songs / "deep" / "er" / "5.wav", 900, age=0)
    wait_until(lambda: count(tmp_path / "v") == 6)
    (songs / "0.wav").unlink()
    wait_until(lambda: count(tmp_path / "v") == 5)


def test_without_watchfiles_songs_are_found_by_looking(running, songs, song, monkeypatch, tmp_path):
    monkeypatch.setattr(notice_module, "find_spec", lambda _: None)
    monkeypatch.setattr(watcher_module, "POLL_SECONDS", 0.2)
    running()
    wait_until(lambda: count(tmp_path / "v") == 5)
    song(songs / "5.wav", 900, age=0)
    wait_until(lambda: count(tmp_path / "v") == 6)


def test_songs_that_are_away_are_waited_for_and_said_once(running, songs, song, caplog, tmp_path):
    running()
    wait_until(lambda: count(tmp_path / "v") == 5)
    with caplog.at_level("WARNING", "audiomae"):
        songs.rename(tmp_path / "away")
        wait_until(
            lambda: any("is not there; nothing is removed. Waiting" in line for line in caplog.messages)
        )
        time.sleep(1.2)
        assert sum("Waiting" in line for line in caplog.messages) == 1
    assert count(tmp_path / "v") == 5
    song(tmp_path / "away" / "5.wav", 900)
    (tmp_path / "away").rename(songs)
    wait_until(lambda: count(tmp_path / "v") == 6)


def test_a_file_that_is_still_copied_is_left_alone(running, songs, song, caplog, tmp_path):
    running()
    wait_until(lambda: count(tmp_path / "v") == 5)
    whole = song(tmp_path / "whole.wav", 900, seconds=2).read_bytes()
    with caplog.at_level("INFO", "audiomae"), (songs / "5.wav").open("wb") as file:
        for first in range(0, len(whole), len(whole) // 9):
            file.write(whole[first : first + len(whole) // 9])
            file.flush()
            time.sleep(0.1)
    wait_until(lambda: count(tmp_path / "v") == 6)
    assert Vectors.open(tmp_path / "v").tracks["seconds"].to_pylist()[-1] == 2.0
    assert not any("left out" in line or "changed" in line for line in caplog.messages)


def test_told_to_stop_it_ends_in_order_and_stores_no_half_batch(
    once, songs, tiny_model, monkeypatch, tmp_path
):
    real = watcher_module.Change.keep

    def told(self, *words):
        signal.raise_signal(signal.SIGTERM)
        return real(self, *words)

    settings = WatchSettings(str(songs), str(tmp_path / "v"), str(tiny_model), settle_seconds=0.0)
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(watcher_module.Change, "keep", told)
        done = watch(settings)
    assert (done.tracks, done.generation) == (0, 0)
    assert not list((tmp_path / "v").glob(".corpus-*"))
    assert signal.getsignal(signal.SIGTERM) == before
    assert once(songs).tracks == 5


@pytest.mark.usefixtures("once")
def test_told_to_stop_while_it_stores_a_change_it_ends_after_that(songs, tiny_model, monkeypatch, tmp_path):
    real = watcher_module.Change.store

    def told(self):
        signal.raise_signal(signal.SIGINT)
        real(self)

    monkeypatch.setattr(watcher_module.Change, "store", told)
    settings = WatchSettings(
        str(songs), str(tmp_path / "v"), str(tiny_model), settle_seconds=0.0, batch_songs=2
    )
    done = watch(settings)
    assert (done.tracks, done.generation, count(tmp_path / "v")) == (2, 1, 2)


def test_files_lie_still_once_they_have_not_changed_for_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("audiomae.watching.look.time.monotonic", lambda: now[0])
    settling, fresh = Settling(2.0), Stamp(10, time.time_ns())
    assert settling.settled({"old": Stamp(5, 1), "new": fresh, "gone": None}) == {"old"}
    now[0] += 1.5
    assert settling.wait_seconds(["new"]) == 0.5
    assert settling.settled({"new": Stamp(11, fresh.modified_ns), "gone": None}) == set()
    now[0] += 0.5
    assert settling.settled({"new": Stamp(11, fresh.modified_ns), "gone": None}) == {"gone"}
    now[0] += 1.5
    assert settling.settled({"new": Stamp(11, fresh.modified_ns), "late": Stamp(5, 1)}) == {"new"}


def test_a_folder_that_cannot_be_read_hides_what_lies_there(songs, song, monkeypatch):
    inner, scandir = song(songs / "in" / "a.wav", 300), os.scandir

    def refuse(folder):
        if Path(folder) == inner.parent:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    look = look_at(songs)
    assert look.hides(str(inner))
    assert not look.hides(str(songs / "0.wav"))
