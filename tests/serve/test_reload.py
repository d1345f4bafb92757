"""A collection that changes while it is served."""

from __future__ import annotations

import json
import threading
import time

import pytest

from audiomae.serve.schemas import Rules


@pytest.fixture
def changing(tmp_path, songs, serve, write):
    """A collection of ten tracks and its client."""
    folder = write(tmp_path / "v", songs, tracks=10)
    return folder, serve(folder)


def test_new_songs_are_served_once_vectors_json_is_written(changing, songs, write):
    folder, client = changing
    assert client.get("/api/about").json()["tracks"] == 10
    assert not client.app.state.serve.refresh()
    write(folder, songs, tracks=12)
    assert client.app.state.serve.refresh()
    assert client.get("/api/about").json()["tracks"] == 12
    assert client.post("/api/similar", json={"like": ["t11"], "k": 3}).status_code == 200
    assert "audiomae_reloads_total 1.0" in client.get("/metrics").text


def test_a_request_goes_on_with_the_collection_it_began_with(changing, songs, write):
    folder, client = changing
    before = client.app.state.serve.snapshot
    write(folder, songs, tracks=4, seed=1)
    client.app.state.serve.refresh()
    assert [song.track_id for song in before.lists.similar([9], rules=Rules(k=20))]
    assert client.get("/api/tracks/t9").status_code == 404


def test_a_broken_folder_leaves_what_was_open_and_is_said(changing, caplog):
    folder, client = changing
    (folder / "tracks.parquet").write_bytes(b"cut")
    (folder / "vectors.json").touch()
    with caplog.at_level("WARNING", "audiomae"):
        assert not client.app.state.serve.refresh()
        assert not client.app.state.serve.refresh()
    assert client.get("/api/tracks").json()["total"] == 10
    assert "tracks.parquet" in client.get("/ready").json()["notes"]["vectors"]
    assert len(caplog.records) == 1


def test_a_folder_that_is_just_being_written_is_left_alone(changing):
    folder, client = changing
    text = (folder / "vectors.json").read_text()
    (folder / "vectors.json").unlink()
    assert not client.app.state.serve.refresh()
    (folder / "vectors.json").write_text(text)
    assert client.app.state.serve.refresh()


def test_the_generation_is_told(changing):
    folder, client = changing
    meta = json.loads((folder / "vectors.json").read_text())
    (folder / "vectors.json").write_text(json.dumps({**meta, "generation": 7}))
    client.app.state.serve.refresh()
    assert client.get("/api/about").json()["generation"] == 7


def test_no_request_fails_while_the_folder_changes(changing, songs, write):
    folder, client = changing
    with client:  # the watching task runs
        statuses: list[int] = []
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                statuses.append(client.get("/api/similar", params={"like": "t1", "k": 3}).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        deadline = time.monotonic() + 60
        write(folder, songs, tracks=11)
        while client.get("/api/about").json()["tracks"] != 11 and time.monotonic() < deadline:
            time.sleep(0.05)
        ended.set()
        asking.join()
    assert client.app.state.serve.snapshot.vectors.tracks.num_rows == 11
    assert set(statuses) == {200}
