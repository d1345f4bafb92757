"""OpenSubsonic: its own rules by hand, and a client library that people use."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import libopensonic
import pytest
import uvicorn

from audiomae.serve.app import make_app
from audiomae.verbs.serve import ServeSettings

XML = "{http://subsonic.org/restapi}"


def asked(client, name: str, **values: object) -> dict:
    answer = client.get(f"/rest/{name}", params={"f": "json", **values})
    assert answer.status_code == 200
    return answer.json()["subsonic-response"]


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("track_id,server_id\n" + "".join(f"t{number},0{number}\n" for number in range(40)))
    return path


def test_every_answer_has_the_head_of_open_subsonic(client):
    for name in ("ping", "ping.view", "getLicense"):
        head = asked(client, name)
        assert (head["status"], head["version"], head["type"], head["openSubsonic"]) == (
            "ok",
            "1.16.1",
            "audiomae",
            True,
        )
        assert head["serverVersion"]


def test_the_extension_is_announced_to_anybody(serve):
    found = asked(serve(token="secret"), "getOpenSubsonicExtensions")
    assert {"name": "sonicSimilarity", "versions": [1]} in found["openSubsonicExtensions"]


def test_similar_tracks_are_matches_with_a_likeness(client):
    found = asked(client, "getSonicSimilarTracks", id="t1", count=3)["sonicMatch"]
    wanted = client.get("/api/similar", params={"like": "t1", "k": 3}).json()["songs"]
    assert [one["entry"]["id"] for one in found] == [song["track_id"] for song in wanted]
    assert [one["similarity"] for one in found] == [max(0.0, song["cosine"]) for song in wanted]
    assert {"id", "isDir", "title"} <= found[0]["entry"].keys()
    assert asked(client, "getSonicSimilarTracks", id="t1", count=0)["sonicMatch"] == []


def test_a_path_begins_and_ends_with_what_was_named(client):
    found = asked(client, "findSonicPath", startSongId="t1", endSongId="t2", count=6)["sonicMatch"]
    names = [one["entry"]["id"] for one in found]
    assert (names[0], names[-1], len(names)) == ("t1", "t2", 6)
    assert found[0]["similarity"] == 1.0
    assert all(0 <= one["similarity"] <= 1 for one in found)


def test_xml_is_what_comes_without_asking(client):
    answer = client.get("/rest/getSonicSimilarTracks.view", params={"id": "t1", "count": 60})
    assert answer.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(answer.content)
    assert (root.tag, root.get("status"), root.get("openSubsonic")) == (
        f"{XML}subsonic-response",
        "ok",
        "true",
    )
    matches = root.findall(f"{XML}sonicMatch")
    titles = {match.find(f"{XML}entry").get("title") for match in matches}
    assert any(title.startswith("<script>") and title.endswith("Ünïcode") for title in titles)
    extensions = ElementTree.fromstring(client.get("/rest/getOpenSubsonicExtensions").content)
    assert [one.text for one in extensions.iter(f"{XML}versions")] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ({}, 10),
        ({"u": "me"}, 10),
        ({"u": "me", "p": "wrong"}, 40),
        ({"u": "me", "p": "enc:zz"}, 40),
        ({"u": "me", "t": "0" * 32, "s": "salt"}, 40),
        ({"u": "me", "t": "0" * 32}, 10),
        ({"p": "secret"}, 10),
        ({"apiKey": "wrong"}, 44),
        ({"apiKey": "secret", "u": "me"}, 43),
        ({"p": "secret", "t": "0" * 32, "s": "salt", "u": "me"}, 43),
        ({"u": "me", "p": "secret"}, None),
        ({"u": "me", "p": "enc:736563726574"}, None),
        ({"u": "me", "s": "salt", "t": hashlib.md5(b"secretsalt").hexdigest()}, None),
        ({"apiKey": "secret"}, None),
    ],
)
def test_the_token_is_shown_in_any_of_the_three_ways(serve, shown, code):
    found = asked(serve(token="secret"), "getSong", id="t1", **shown)
    assert found.get("error", {}).get("code") == code
    assert found["status"] == ("ok" if code is None else "failed")


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("getSonicSimilarTracks", {}, 10),
        ("getSonicSimilarTracks", {"id": "nothing"}, 70),
        ("getSonicSimilarTracks", {"id": "t1", "count": "many"}, 0),
        ("getSonicSimilarTracks", {"id": "t1", "count": "-1"}, 0),
        ("findSonicPath", {"startSongId": "t1"}, 10),
        ("findSonicPath", {"startSongId": "t1", "endSongId": "t1"}, 10),
        ("getAlbum", {}, 0),
    ],
)
def test_failures_come_with_their_codes(client, name, values, code):
    found = asked(client, name, **values)
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    assert found["error"]["message"]


def test_a_servers_own_ids_are_taken_and_given(serve, ids):
    client = serve(ids=ids)
    assert asked(client, "getSong", id="07")["song"]["title"].startswith("<script>")
    found = asked(client, "getSonicSimilarTracks", id="01", count=60)["sonicMatch"]
    assert {one["entry"]["id"] for one in found} == {f"0{number}" for number in range(40)} - {"01"}
    assert asked(client, "getSong", id="t1")["error"]["code"] == 70


@pytest.fixture(scope="module")
def address(collection) -> Iterator[int]:
    """The port of a service that needs a token, in a thread."""
    app = make_app(ServeSettings(str(collection), token="secret"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(30)


@contextlib.contextmanager
def connected(port: int, *who: str, **ways: Any) -> Iterator[libopensonic.Connection]:
    """A client, closed afterwards with its loop, which the library leaves open."""
    connection = libopensonic.Connection("http://127.0.0.1", *who, port=port, **ways)
    yield connection
    connection.cleanup()
    connection._loop.close()


@pytest.mark.parametrize("ways", [{}, {"use_get": True}, {"legacy_auth": True}, {"use_views": False}])
def test_a_client_library_talks_to_it(address, ways):
    with connected(address, "me", "secret", **ways) as connection:
        assert connection.ping()
        names = {extension.name for extension in connection.get_open_subsonic_extensions()}
        assert libopensonic.Extensions.SONIC_SIMILARITY in names
        matches = connection.get_sonic_similar_tracks("t1", count=4)
        assert (len(matches), all(0 <= match.similarity <= 1 for match in matches)) == (4, True)
        path = connection.find_sonic_path("t1", "t2", count=5)
        assert [path[0].entry.id, path[-1].entry.id] == ["t1", "t2"]
        assert connection.get_song("t2").artist == "Artist 2"
        with pytest.raises(libopensonic.errors.DataNotFoundError):
            connection.get_song("nothing")


def test_a_client_library_with_a_key_and_one_with_the_wrong_password(address):
    with connected(address, api_key="secret") as known:
        assert known.ping()
    with connected(address, "me", "wrong") as wrong, pytest.raises(libopensonic.errors.CredentialError):
        wrong.get_song("t1")
