"""Songs, corpus and vectors in a store: a real server that speaks S3, and what is said when it is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained

pytest.importorskip("moto", reason="moto is not installed: uv sync")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: uv sync --extra s3")

pytestmark = [pytest.mark.processes, pytest.mark.filterwarnings("ignore")]  # botocore's own

TINY = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """A server on a free port, and the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield process, environment
    process.kill()
    process.wait()


def audiomae(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    """Run a verb in a process of its own."""
    command = [sys.executable, "-m", "audiomae", *map(str, words)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def test_songs_corpus_and_vectors_in_a_store_are_those_of_local_folders(server, tmp_path, monkeypatch):
    process, environment = server
    songs = tmp_path / "songs"
    (songs / "sub").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number, name in enumerate(("a b", "sub/ünder", "sub/c")):
        noise = 0.1 * generator.standard_normal(16_000 * 12) * np.linspace(0.2, 1 + number, 16_000 * 12)
        soundfile.write(songs / f"{name}.flac", noise.clip(-1, 1), 16_000)
    (songs / "text.mp3").write_text("no audio")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = s3fs.S3FileSystem(skip_instance_cache=True)
    store.mkdir("music")
    store.put(str(songs), "music/songs", recursive=True)

    made = audiomae(environment, "prepare", "s3://music/songs", "--out", "s3://music/corpus")
    assert made.returncode == 0, made.stderr
    assert audiomae({}, "prepare", songs, "--out", tmp_path / "corpus").returncode == 0
    local = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    with store.open("music/corpus/tracks.parquet") as file:
        tracks = pq.read_table(file, columns=["track_id", "content"])
    there = pq.read_table(tmp_path / "corpus" / "tracks.parquet", columns=["track_id", "content"])
    assert tracks.to_pylist() == there.to_pylist()
    assert json.loads(store.cat("music/corpus/corpus.json"))["fingerprint"] == local["fingerprint"]
    with store.open("music/corpus/rejects.parquet") as file:
        (reason,) = pq.read_table(file)["reason"].to_pylist()
    assert reason.startswith("not audio")

    model = tmp_path / "run"
    save(untrained(TINY), model, {})
    for source, out in (("s3://music/corpus", "s3://music/vectors"), (tmp_path / "corpus", tmp_path / "v")):
        done = audiomae(environment, "export", model, source, "--out", out)
        assert done.returncode == 0, done.stderr
    for part in sorted((tmp_path / "v" / "clips").iterdir()):
        assert store.cat(f"music/vectors/clips/{part.name}") == part.read_bytes()

    process.kill()
    process.wait()
    lost = audiomae(environment, "prepare", "s3://music/songs", "--out", tmp_path / "again")
    assert lost.returncode == 1
    assert "Could not connect to the endpoint" in lost.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "again" / "corpus.json").exists()
