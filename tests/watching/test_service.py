"""A collection that is served while it is kept up to date."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from audiomae.disk.files import locked
from audiomae.errors import ConfigError, DataError
from audiomae.serve import state as state_module
from audiomae.serve.app import make_app
from audiomae.verbs.serve import ServeSettings
from audiomae.watching.child import PARENT_VARIABLE, end_with_parent

ROUTES = (
    "about",
    "tracks",
    "tracks?query=x",
    "map",
    "map/state",
    "map/colours?by=seconds",
    "map/colours?by=artist",
    "search_tracks?search_query=x",
)


def test_a_collection_without_songs_is_served(once, tiny_model, tmp_path):
    (tmp_path / "songs").mkdir()
    once(tmp_path / "songs")
    settings = ServeSettings(str(tmp_path / "v"), model=str(tiny_model))
    with TestClient(make_app(settings), base_url="http://127.0.0.1:8765") as client:
        found = {route: client.get(f"/api/{route}").status_code for route in ROUTES}
        assert set(found.values()) == {200}, found
        assert client.get("/api/map").json()["track_ids"] == []
        nothing = client.get("/api/similar", params={"like": "x"})
        assert (nothing.status_code, "not among the 0" in nothing.json()["error"]) == (404, True)
        assert client.post("/api/radio", json={"like": []}).status_code < 500
        assert client.get("/").status_code == 200


def test_a_first_song_comes_into_a_collection_that_is_served_empty(once, song, tmp_path):
    (tmp_path / "songs").mkdir()
    once(tmp_path / "songs")
    client = TestClient(make_app(ServeSettings(str(tmp_path / "v"))), base_url="http://127.0.0.1:8765")
    song(tmp_path / "songs" / "a.wav", 300)
    once(tmp_path / "songs")
    assert client.app.state.serve.refresh()
    assert client.get("/api/about").json()["tracks"] == 1
    (tmp_path / "songs" / "b").mkdir()
    (tmp_path / "songs" / "a.wav").rename(tmp_path / "songs" / "b" / "a.wav")
    once(tmp_path / "songs")
    assert client.app.state.serve.refresh()
    assert client.get("/api/tracks").json()["tracks"][0]["path"].endswith("/b/a.wav")


@pytest.fixture
def served(once, songs, tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a real server of the songs, in a thread."""
    monkeypatch.setattr(state_module, "LOOK_SECONDS", 0.05)
    once(songs, part_clips=2)
    app = make_app(ServeSettings(str(tmp_path / "v"), access_log=False))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_no_request_fails_while_songs_come_and_go(once, songs, song, served):
    kept = httpx.get(f"{served}/api/tracks").json()["tracks"][0]["track_id"]
    ended, statuses = threading.Event(), []
    asked = (f"similar?like={kept}&k=2", "tracks", f"tracks/{kept}", "map/state")

    def ask(client: httpx.Client) -> None:
        while not ended.is_set():
            statuses.extend(client.get(f"{served}/api/{path}", timeout=30).status_code for path in asked)

    with httpx.Client() as client:
        asking = threading.Thread(target=ask, args=(client,))
        asking.start()
        for number in range(5, 10):
            song(songs / f"{number}.wav", 300 + 50 * number)
            (songs / f"{number - 4}.wav").unlink()
            done = once(songs, part_clips=2)
        end = time.monotonic() + 30
        while httpx.get(f"{served}/api/about").json()["generation"] != done.generation:
            assert time.monotonic() < end
            time.sleep(0.05)
        ended.set()
        asking.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert httpx.get(f"{served}/api/about").json()["tracks"] == 5


def test_serve_follows_only_named_songs_with_a_named_model():
    with pytest.raises(ConfigError, match=r"watch needs --songs FOLDER"):
        ServeSettings("v", model="tiny", watch=True)
    with pytest.raises(ConfigError, match=r"watch needs --songs FOLDER"):
        ServeSettings("v", songs="songs", watch=True)


def wait_for(url: str, what, seconds: float = 90) -> dict:
    """Ask until an answer is as it should be."""
    end = time.monotonic() + seconds
    while True:
        answer = httpx.get(url, timeout=30)
        assert answer.status_code == 200
        if what(answer.json()):
            return answer.json()
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)


def is_held(folder: Path) -> bool:
    try:
        with locked(folder):
            return False
    except DataError:
        return True


@pytest.mark.processes
def test_serve_starts_a_watcher_that_ends_with_it(song, tiny_model, tmp_path):
    songs, out = tmp_path / "songs", tmp_path / "v"
    song(songs / "a.wav", 300)
    words = [str(out), "--songs", str(songs), "--model", str(tiny_model), "--watch", "--port", "0"]
    service = subprocess.Popen(
        [sys.executable, "-m", "audiomae", "serve", *words], stderr=subprocess.PIPE, text=True
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in service.stderr], daemon=True)
    reader.start()
    try:
        told = ""
        while (found := re.search(r"answers at (\S+)/;", told)) is None:
            told += lines.get(timeout=90)
        wait_for(f"{found[1]}/api/about", lambda about: about["tracks"] == 1)
        song(songs / "b.wav", 400, age=0)
        wait_for(f"{found[1]}/api/about", lambda about: about["tracks"] == 2)
        assert is_held(out)
        service.send_signal(signal.SIGTERM)
        status = service.wait(60)
    finally:
        service.kill()
        service.wait()
        reader.join(60)
        service.stderr.close()
    assert status == 0
    assert not is_held(out)


def test_a_watcher_ends_when_the_service_is_killed(monkeypatch):
    stopped = threading.Event()
    monkeypatch.setenv(PARENT_VARIABLE, str(os.getppid()))
    end_with_parent(stopped.set)
    assert not stopped.wait(0.2)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert stopped.wait(10)
