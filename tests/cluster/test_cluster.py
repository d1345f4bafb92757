"""Prepare and export on a Ray cluster of several nodes on this machine, whose workers and nodes die."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiomae.audio.mel import MelSettings
from audiomae.cluster import songs as ray_pool
from audiomae.cluster import stream as ray_stream
from audiomae.cluster.songs import prepare_on_ray
from audiomae.cluster.stream import load_ray
from audiomae.corpus.build import prepare_corpus
from audiomae.errors import AudiomaeError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained
from audiomae.vectors.writer import VectorsWriter
from audiomae.verbs.export import ExportSettings, export
from audiomae.verbs.prepare import PrepareSettings, prepare
from data_prep.songs.folder import songs as folder_songs

for _name, _value in ray_stream.QUIET.items():  # read when Ray is imported
    os.environ.setdefault(_name, _value)
ray = pytest.importorskip("ray", reason="ray is not installed: uv sync --extra ray", exc_type=ImportError)
pytest.importorskip("ray.data", reason="ray is without Ray Data: uv sync --extra ray", exc_type=ImportError)

pytestmark = [
    pytest.mark.processes,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

MEL = MelSettings(sample_rate=8_000, n_fft=512, hop_samples=80, mels=40, high_hz=4_000)
TINY = ModelSettings(
    mels=40, patch_mels=8, width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2
)
STORE = 100 << 20


class Nodes:
    """A head without a CPU, and two nodes of one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1_000}
        soon |= {"health_check_timeout_ms": 5_000, "health_check_failure_threshold": 4}
        shared = {"object_store_memory": STORE, "include_dashboard": False}
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": soon, **shared}
        )
        self.nodes: list[Any] = []
        for _ in range(2):
            self.nodes.append(self.cluster.add_node(num_cpus=1, object_store_memory=STORE))
        ray.init(address=self.cluster.address, logging_level="ERROR", log_to_driver=False)

    def kill(self) -> None:
        """Kill a node, with all that runs on it."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def kill_worker(self) -> None:
        """Kill -9 a process that embeds."""
        raylets = {node.all_processes["raylet"][0].process.pid for node in self.nodes}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                name = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent in raylets and name.startswith(b"ray::") and b"PartEmbedder" in name:
                os.kill(int(entry.name), signal.SIGKILL)
                return
        raise AssertionError("no worker is at work")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    load_ray()
    started = Nodes()
    yield started
    ray.shutdown()
    started.cluster.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Twelve songs: ten good ones, a text and a short one; and their corpus by the local engine."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "songs" / "deep er").mkdir(parents=True)
    for number in range(12):
        seconds = 1 if number == 5 else 6 + number % 11 % 4
        samples = np.random.default_rng(number % 11).normal(0, 0.1, 8_000 * seconds)
        inner = folder / "songs" / ("deep er" if number % 3 else "")
        soundfile.write(inner / f"{number:02}.wav", samples, 8_000)
    (folder / "songs" / "deep er" / "07.wav").write_text("no audio")
    run(folder, "local")
    return folder


def run(folder: Path, out: str, engine: Any = None) -> Any:
    songs = list(folder_songs([folder / "songs"]))
    return prepare_corpus(
        songs, folder / out, mel=MEL, workers=2 * (engine is None), shard_megabytes=0.2, engine=engine
    )


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if not path.relative_to(folder).parts[0].startswith(".")
    }


def at_song(acts: dict[int, Callable[[], None]]) -> Any:
    """Return the engine that does something when some songs have come."""

    def engine(*arguments: Any) -> Iterator[Any]:
        for song, result in prepare_on_ray(*arguments):
            acts.get(song, lambda: None)()
            yield song, result

    return engine


def deadly(batch: dict[str, Any], **settings: Any) -> Iterator[Any]:
    """Work on a node with one song that kills its worker always, as Ray's guard of the memory would."""
    import os
    import signal

    from audiomae.cluster import songs as ray_pool

    real = ray_pool.prepare_one

    def dying(path: str, *rest: Any) -> Any:
        if path.endswith("04.wav"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, *rest)

    ray_pool.prepare_one = dying
    try:
        yield from ray_pool.prepare_batch(batch, **settings)
    finally:
        ray_pool.prepare_one = real


@pytest.mark.usefixtures("nodes")
def test_a_song_that_kills_its_worker_again_and_again_is_left_out_alone(place, tmp_path, monkeypatch):
    """The songs lie at a URL, and so does the corpus at last."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[deadly.__module__])
    monkeypatch.setattr(ray_pool, "prepare_batch", deadly)
    monkeypatch.setattr(ray_pool, "MOST_DEATHS", 2)
    shared = {"mel": MEL, "shard_megabytes": 0.2, "engine": "ray", "staging": str(tmp_path)}
    prepare(PrepareSettings((f"file://{place}/songs",), f"file://{place}/store/corpus", **shared))
    rejects = {Path(row["path"]).name: row["reason"] for row in rows(place / "store" / "corpus", "rejects")}
    assert rejects["04.wav"] == "decoder crashed: its worker died, 2 times"
    assert {name: reason.partition(":")[0] for name, reason in rejects.items()} == {
        "04.wav": "decoder crashed",
        "05.wav": "too short",
        "07.wav": "not audio",
        "11.wav": "duplicate",
    }
    expected = [
        row["content"] for row in rows(place / "local", "tracks") if not row["path"].endswith("04.wav")
    ]
    assert [row["content"] for row in rows(place / "store" / "corpus", "tracks")] == expected


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / f"{table}.parquet").to_pylist())


def test_vectors_are_the_same_though_a_worker_is_killed(nodes, place, tmp_path, monkeypatch):
    """The corpus lies at a URL, and so do the vectors at last."""
    corpus = place / "store" / "corpus"
    save(dataclasses.replace(untrained(TINY), mel=MEL), place / "run", {})
    shared = {"hop_seconds": 1.0, "part_clips": 4, "threads": 1, "device": "cpu"}
    export(ExportSettings((str(place / "run"), str(corpus)), str(place / "vectors"), **shared))
    real, added = VectorsWriter.add_part, []

    def add_part(writer: VectorsWriter, tracks: Any) -> None:
        real(writer, tracks)
        added.append(tracks)
        if len(added) == 1:
            nodes.kill_worker()

    monkeypatch.setattr(VectorsWriter, "add_part", add_part)
    shared |= {"engine": "ray", "staging": str(tmp_path)}
    out = place / "store" / "vectors"
    export(ExportSettings((str(place / "run"), f"file://{corpus}"), f"file://{out}", **shared))
    assert len(added) >= 4
    assert files(out) == files(place / "vectors")


def test_a_run_that_loses_a_node_and_is_cut_short_ends_with_the_bytes_of_one_machine(nodes, place):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(place, "ray", at_song({2: nodes.kill, 8: stop}))
    assert list((place / "ray" / ".journal").glob("shard-*.json"))
    summary = run(place, "ray")  # by the other engine
    assert summary.rejected == {"not audio": 1, "too short": 1}
    assert summary.duplicates == 1
    assert files(place / "ray") == files(place / "local")


def test_a_cluster_whose_nodes_are_all_gone_is_one_line(nodes, place, monkeypatch):
    monkeypatch.setattr(ray_stream, "LOST_SECONDS", 2.0)
    monkeypatch.setattr(ray_stream, "LOOK_SECONDS", 1.0)
    nodes.kill()
    start = time.monotonic()
    with pytest.raises(AudiomaeError, match=r"no node of the Ray cluster at .* is alive that has a CPU\."):
        run(place, "gone", prepare_on_ray)
    assert time.monotonic() - start < 30
    run(place, "gone")
    assert files(place / "gone") == files(place / "local")
