"""The real thing: `audiomae serve` as a process, told to stop, and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

pytestmark = pytest.mark.processes


class Service:
    """A process, and the address it says that it answers at."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "audiomae", "serve", *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"answers at (http://\S+);", line):
                self.url = found[1]
                return
        raise AssertionError("".join(self.lines))

    def wait_until(self, path: str, status: int = 200, seconds: float = 120) -> httpx.Response:
        """Ask until an answer has the status."""
        end = time.monotonic() + seconds
        while True:
            try:
                answer = httpx.get(f"{self.url}{path}", timeout=60)
                if answer.status_code == status or time.monotonic() > end:
                    return answer
            except httpx.TransportError:
                assert time.monotonic() < end, "nobody answers"
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Tell it to stop; return the status, and what it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, "".join(self.lines) + err


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """What starts services; those left over are killed."""
    started = []

    def made(*words: str) -> Service:
        started.append(Service(*words))
        return started[-1]

    yield made
    for service in started:
        if service.process.poll() is None:
            os.killpg(service.process.pid, signal.SIGKILL)  # its workers too, who hold the pipes
            service.process.communicate(timeout=60)


def test_a_service_stops_in_order_and_starts_again_at_the_same_port(start, collection):
    first = start(str(collection), "--port", "0")
    assert first.wait_until("api/tracks").json()["total"] == 60
    assert first.wait_until("").text.startswith("<!doctype html>")
    status, out, err = first.stop()
    assert (status, out[:7]) == (0, "stopped")
    assert "GET /api/tracks 200" in err
    assert "Traceback" not in err
    port = first.url.rsplit(":", 1)[1].strip("/")
    second = start(str(collection), "--port", port)
    assert second.wait_until("health").json() == {"status": "ok"}
    assert second.stop(signal.SIGINT)[0] == 0


def test_a_request_that_is_under_way_is_answered_before_the_end(start, write, tmp_path):
    size = 64 << 20
    with (tmp_path / "0.wav").open("wb") as file:
        file.truncate(size)
    service = start(str(write(tmp_path / "v", tmp_path, tracks=2)), "--port", "0")
    service.wait_until("health")
    with httpx.stream("GET", f"{service.url}api/tracks/t0/audio", timeout=60) as answer:
        parts = answer.iter_bytes()
        read = len(next(parts))
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert service.process.poll() is None
        read += sum(map(len, parts))
    assert read == size
    service.process.communicate(timeout=90)
    assert service.process.returncode == 0


def test_several_workers_share_a_port_and_count_together(start, collection):
    service = start(str(collection), "--port", str(free_port()), "--workers", "2")
    for _ in range(5):
        assert service.wait_until("api/about").status_code == 200
    counted = r'audiomae_requests_total{method="GET",route="/api/about",status="200"} [5-9]'
    assert re.search(counted, service.wait_until("metrics").text)
    assert service.stop()[0] == 0


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_taken_port_and_a_wrong_folder_are_one_clear_line(collection, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(str(collection), "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(
        f"audiomae serve: 127.0.0.1 port {port}: cannot be listened at"
    )
    missing = run(str(tmp_path / "none"), "--port", "0")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "no such file" in missing.stderr


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audiomae", "serve", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
