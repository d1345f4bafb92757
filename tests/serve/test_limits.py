"""What may be sent, and how much."""

from __future__ import annotations

from collections.abc import Iterator

from audiomae.serve.limits import PLAIN_BYTES


def chunks(count: int, size: int = 1 << 16) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * size


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(client):
    promised = {"content-length": str(PLAIN_BYTES + 1), "content-type": "application/json"}
    answer = client.post("/api/similar", content=b"{}", headers=promised)
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("more than 1 MB were sent")


def test_a_body_that_says_no_length_is_counted(client):
    answer = client.post("/api/similar", content=chunks(20), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_a_file_larger_than_allowed_is_refused(serve, tiny_model):
    client = serve(upload_megabytes=1, model=tiny_model)
    answer = client.post("/api/embed", files={"file": ("a.wav", b"\0" * 1_100_000)})
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "more than 1 MB were sent; send less, or start audiomae serve with --upload_megabytes N.",
    )


def test_what_is_wrong_in_a_request_is_named(client):
    answer = client.post("/api/similar", json={"like": ["t1"], "k": 0})
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "k: input should be greater than or equal to 1.",
    )
    unknown = client.post("/api/similar", json={"like": ["t1"], "colour": "red"}).json()["error"]
    assert unknown == "colour: extra inputs are not permitted."
    broken = client.post("/api/similar", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 422
    assert client.get("/api/nothing").json() == {"error": "Not Found"}
    assert client.put("/api/about").status_code == 405
