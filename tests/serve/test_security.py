"""Who may ask."""

from __future__ import annotations

import pytest

from audiomae.errors import ConfigError
from audiomae.verbs.serve import ServeSettings


def test_an_address_that_others_reach_needs_a_token(monkeypatch):
    monkeypatch.delenv("AUDIOMAE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"host 0.0.0.0 lets others in, and there is no token. Add --token"):
        ServeSettings("v", host="0.0.0.0")
    assert ServeSettings("v", host="0.0.0.0", token="secret").secret == "secret"
    monkeypatch.setenv("AUDIOMAE_TOKEN", "from-outside")
    assert ServeSettings("v", host="::").secret == "from-outside"


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ünï"])
def test_a_token_that_no_header_can_hold_is_refused(token):
    with pytest.raises(ConfigError, match="printable ASCII"):
        ServeSettings("v", token=token)


def test_with_a_token_every_answer_needs_it(serve):
    client = serve(token="secret")
    for path in ("/api/about", "/api/tracks/t1/audio", "/metrics", "/docs", "/openapi.json"):
        refused = client.get(path)
        assert refused.status_code == 401, path
        assert "Authorization: Bearer TOKEN" in refused.json()["error"]
        assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"authorization": "Bearer secret"}).status_code == 200
        assert client.get(path, params={"token": "secret"}).status_code == 200
        assert client.get(path, params={"token": "sécret"}).status_code == 401


def test_the_page_and_the_pulse_come_without_a_token(serve):
    client = serve(token="secret")
    for path in ("/", "/health", "/ready"):
        assert client.get(path).status_code == 200, path


def test_without_a_token_a_page_of_another_name_is_refused(client):
    """A name that was pointed to this machine (DNS rebinding) is not this machine's."""
    refused = client.get("/api/about", headers={"host": "evil.example"})
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "host 'evil.example' is not this machine; a service for others needs a token: --token SECRET.",
    )
    for host in ("127.0.0.1:8765", "localhost", "[::1]:8765", "LOCALHOST."):
        assert client.get("/api/about", headers={"host": host}).status_code == 200, host


def test_a_page_of_another_origin_may_not_send(client):
    asked = {"name": "x", "tracks": ["t1"]}
    refused = client.post("/api/playlists", json=asked, headers={"origin": "http://evil.example"})
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "a page of another origin may not ask here.",
    )
    assert client.get("/api/about", headers={"origin": "http://127.0.0.1:8765"}).status_code == 200
    assert client.get("/api/about", headers={"origin": "null"}).status_code == 403


def test_behind_a_proxy_with_a_token_any_name_will_do(serve):
    client = serve(token="secret")
    headers = {"host": "music.example", "authorization": "Bearer secret"}
    assert client.get("/api/about", headers=headers).status_code == 200


def test_answers_keep_browsers_strict(client):
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
