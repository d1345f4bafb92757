"""What can be told of the Ray engine without a cluster; tests/cluster/test_cluster.py has one."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from audiomae.audio.decode import decoder_versions
from audiomae.audio.mel import MelSettings
from audiomae.cluster import songs as ray_pool
from audiomae.cluster import stream as ray_stream
from audiomae.cluster.stream import Piece, Starts, Watch, answers, join_cluster, pieces_of
from audiomae.corpus.worker import Limits
from audiomae.errors import AudiomaeError, ConfigError
from audiomae.verbs.export import ExportSettings
from audiomae.verbs.prepare import PrepareSettings, prepare


@pytest.fixture
def some_ray(monkeypatch):
    """Something that is not Ray but is found as if it were."""
    module = SimpleNamespace(get=lambda value: value, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setattr(ray_stream, "load_ray", lambda: module)
    return module


def test_without_ray_one_line_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ConfigError, match=r"needs Ray, which is not installed .* uv sync --extra ray"
    ) as told:
        prepare(PrepareSettings(("songs",), str(tmp_path), engine="ray"))
    assert (told.value.exit_code, "\n" in str(told.value)) == (2, False)


@pytest.mark.usefixtures("some_ray")
def test_where_no_cluster_answers_one_line_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(AudiomaeError, match=f"no Ray cluster answers at {address}") as told,
            join_cluster(address),
        ):
            pass
    assert told.value.exit_code == 1
    for wrong in ("ray://head:10001", "head", "head:port"):
        with pytest.raises(ConfigError, match=r"is not one\. Use auto, or host:port"), join_cluster(wrong):
            pass


def test_a_cluster_that_cannot_be_joined_is_one_line(some_ray):
    def fail(**_: object) -> None:
        raise ConnectionError("Could not find any\nrunning Ray instance.")

    some_ray.init = fail
    line = r"joined at auto from this machine \(Could not find any running"
    with pytest.raises(AudiomaeError, match=line), join_cluster("auto"):
        pass


def test_a_cluster_is_given_up_once_it_has_been_lost_for_long(monkeypatch):
    nodes = [{"Alive": True, "Resources": {"CPU": 1.0}}, {"Alive": True, "Resources": {}}]
    context = SimpleNamespace(gcs_address="head:6379")
    watch = Watch(SimpleNamespace(get_runtime_context=lambda: context, nodes=lambda: nodes))
    up, now = [True], [0.0]
    monkeypatch.setattr(ray_stream, "answers", lambda _: up[0])
    monkeypatch.setattr(ray_stream.time, "monotonic", lambda: now[0])
    watch.look()
    up[0], now[0] = False, 100.0
    watch.look()
    up[0], now[0] = True, 129.0
    watch.look()
    nodes[0]["Alive"] = False
    now[0] = 131.0
    watch.look()
    now[0] = 160.0
    watch.look()
    now[0] = 162.0
    with pytest.raises(
        AudiomaeError, match="no node of the Ray cluster at head:6379 is alive that has a CPU"
    ):
        watch.look()
    up[0] = False
    with pytest.raises(AudiomaeError, match=r"the head of the Ray cluster at head:6379 does not answer"):
        watch.look()


def test_an_address_answers_where_something_listens():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert answers(f"127.0.0.1:{listening.getsockname()[1]}")


def test_starts_without_an_end_are_counted():
    starts = Starts()
    assert [starts.begin(3), starts.begin(3), starts.begin(4)] == [0, 1, 0]
    starts.end(3)
    assert [starts.begin(3), starts.begin(4)] == [0, 1]


def rows(tables) -> list[Piece]:
    found = [row for table in tables for row in table.to_pylist()]
    return [Piece(row["number"], row["data"], row["header"] or None) for row in found]


def test_a_result_is_its_bytes_and_then_what_there_is_to_say():
    assert rows(pieces_of(7, iter([b"one", b"two"]), {"frames": 2})) == [
        Piece(7, b"one", None),
        Piece(7, b"two", None),
        Piece(7, b"", '{"frames": 2}'),
    ]


def batch(*paths: str, decoders: dict[str, str], monkeypatch, most_deaths: int = 2) -> list[Piece]:
    starts = Starts()
    starts.begin(0)
    starts.begin(0)
    remote = SimpleNamespace(
        begin=SimpleNamespace(remote=starts.begin), end=SimpleNamespace(remote=starts.end)
    )

    def prepare_one(path: str, mels: Path, *_: object) -> dict[str, object]:
        mels.write_bytes(b"0123456789")
        return {"reason": "no such file"} if "gone" in path else {"title": path}

    monkeypatch.setattr(ray_pool, "prepare_one", prepare_one)
    monkeypatch.setattr(ray_pool, "PIECE_BYTES", 8)
    texts = [f'[{number}, "{path}"]' for number, path in enumerate(paths)]
    settings = {"mel": MelSettings(), "limits": Limits(), "decoders": decoders}
    return rows(ray_pool.prepare_batch({"item": texts}, starts=remote, most_deaths=most_deaths, **settings))


@pytest.mark.usefixtures("some_ray")
def test_a_song_at_which_workers_died_is_not_begun_again(monkeypatch):
    found = batch("poison", "song", "gone", decoders=decoder_versions(), monkeypatch=monkeypatch)
    assert found == [
        Piece(0, b"", '{"reason": "decoder crashed: its worker died, 2 times"}'),
        Piece(1, b"01234567", None),
        Piece(1, b"89", None),
        Piece(1, b"", '{"title": "song"}'),
        Piece(2, b"", f'{{"reason": "no such file", "node": "{socket.gethostname()}"}}'),
    ]
    again = batch("song", decoders=decoder_versions(), monkeypatch=monkeypatch, most_deaths=3)
    assert again[-1] == Piece(0, b"", '{"title": "song"}')


@pytest.mark.usefixtures("some_ray")
def test_nodes_that_decode_otherwise_are_refused(monkeypatch):
    (found,) = batch("song", decoders=decoder_versions() | {"soxr": "0.1"}, monkeypatch=monkeypatch)
    assert "the driver 0.1; the corpus would depend on who decodes what" in str(found.header)


def test_what_kills_a_worker_is_swept_up_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_pool.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("audiomae-ray-999999999-x", "audiomae-ray-1-x", "other"):
        (tmp_path / name).mkdir()
    ray_pool.remove_left_behind()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audiomae-ray-1-x", "other"]


def test_a_device_of_one_machine_is_refused():
    with pytest.raises(ConfigError, match="with --engine ray use auto, cpu or cuda"):
        ExportSettings(("run", "corpus"), engine="ray", device="cuda:1")
