"""vectors (and a recommender, a model, runs) → an HTTP service with a page."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from audiomae.checks import require
from audiomae.errors import ConfigError, StorageError
from audiomae.progress import SILENT, Progress
from audiomae.vectors.vectors import Vectors
from audiomae.watching.child import watch_beside

__all__ = ["SETTINGS_VARIABLE", "ServeResult", "ServeSettings", "is_loopback", "serve"]

log = logging.getLogger(__name__)

APP = "audiomae.serve.app"
"""Where the service is; it stands above the verbs, so that it is named here and not imported."""
COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client finds the folder in which the counters of several processes add up."""
SETTINGS_VARIABLE = "AUDIOMAE_SERVE"
"""Environment variable in which worker processes find the settings, as JSON."""
NEEDED = ("fastapi", "multipart", "orjson", "prometheus_client", "uvicorn")
"""What the extra `web` brings."""
UVICORN: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 10,
    "timeout_keep_alive": 30,
}
"""Settings of uvicorn: it writes no log of its own, and requests under way have 10 s to end when it is told to stop."""


@dataclass(frozen=True)
class ServeSettings:
    """Settings of `audiomae serve`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        recommender: Folder made by `audiomae train-towers`, for lists of songs for users.
        model: Run folder of the model that the vectors were made with, or the name of one in the package (tiny); for
            files that are sent, and to rebuild what is masked.
        device: Where the model computes, such as cpu or cuda:1; auto takes a GPU if there is one.
        songs: Folder that the songs lie in: paths in the vectors are relative to it, and nothing outside it is sent. By
            default songs lie where they were when they were prepared.
        runs: Run folders to show, a,b,c.
        ids: CSV or Parquet with track_id and server_id: under which ids a music server knows the songs.
        interactions: CSV or Parquet with plays that came after the training of the recommender.
        host: Address to listen at; one other than loopback needs a token.
        port: Port to listen at.
        workers: Processes that answer.
        token: What every request must show (Authorization: Bearer TOKEN, or ?token=TOKEN); the environment variable
            AUDIOMAE_TOKEN does too.
        follow: Whether songs may be links that lead out of their folder.
        most_songs: Longest list that may be asked for (k).
        upload_megabytes: Largest file that may be sent.
        decode_seconds: Time that decoding a file may take, in seconds.
        access_log: Whether to write a line for each request.
        watch: Whether to keep the vectors up to date with the songs meanwhile, as `audiomae watch` does; the folder is
            made if it is not there. Needs songs and model.
    """

    vectors: str
    recommender: str | None = None
    model: str | None = None
    device: str = "auto"
    songs: str | None = None
    runs: str | tuple[str, ...] = ()
    ids: str | None = None
    interactions: str | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 1
    token: str | None = None
    follow: bool = False
    most_songs: int = 1000
    upload_megabytes: int = 200
    decode_seconds: float = 60.0
    access_log: bool = True
    watch: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range, and an open address without a token."""
        require("port", self.port, least=0, most=65_535)
        require("workers", self.workers, least=1, most=256)
        require("most_songs", self.most_songs, least=1, most=100_000)
        require("upload_megabytes", self.upload_megabytes, least=1, most=10_000, unit="MB")
        require("decode_seconds", self.decode_seconds, least=1, most=3600, unit="s")
        if self.token is not None and (
            not self.token.isascii() or not self.token.isprintable() or " " in self.token
        ):
            raise ConfigError(
                "token may hold printable ASCII characters without spaces alone. Choose another."
            )
        if not is_loopback(self.host) and not self.secret:
            raise ConfigError(
                f"host {self.host} lets others in, and there is no token. Add --token SECRET (or set AUDIOMAE_TOKEN), "
                "or leave --host out."
            )
        if self.watch and (self.songs is None or self.model is None):
            raise ConfigError("watch needs --songs FOLDER to follow and --model tiny (or a run folder).")
        if self.workers > 1 and not self.port:
            raise ConfigError("port 0 (any that is free) goes with one worker. Name a port.")

    @property
    def secret(self) -> str:
        """The token from the settings or from AUDIOMAE_TOKEN; empty for none."""
        return self.token or os.environ.get("AUDIOMAE_TOKEN", "")


@dataclass(frozen=True)
class ServeResult:
    """What `serve` did until it was told to stop.

    Attributes:
        url: Where it listened.
        seconds: How long, until it was told to stop.
    """

    url: str
    seconds: float


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(settings: ServeSettings, *, progress: Progress = SILENT) -> ServeResult:  # noqa: ARG001
    """Answer requests until SIGTERM or Ctrl-C comes; requests under way end first, and the status is 0.

    Raises:
        ConfigError: If the extra `web` is not installed.
        StorageError: If the address cannot be listened at.
        AudiomaeError: If a folder cannot be opened.
    """
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise ConfigError(
            f"serve needs {', '.join(missing)}, not installed here: pip install '.[web]' in the clone."
        )
    with _bound(settings.host, settings.port) as (bound, url), _watching(settings):
        run = _run_here(settings) if settings.workers == 1 else _run_workers(settings)
        log.info("%s answers at %s; Ctrl-C ends it", settings.vectors, url)
        started = time.monotonic()
        run(bound)
        return ServeResult(url, round(time.monotonic() - started, 3))


@contextlib.contextmanager
def _watching(settings: ServeSettings) -> Iterator[None]:
    """Have the songs followed within the block, if that is asked for."""
    if not settings.watch or settings.songs is None or settings.model is None:
        yield
        return
    with watch_beside(settings.songs, settings.vectors, settings.model):
        yield


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """Give a socket at an address, and the address as a URL; nobody is heard before a server listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise StorageError(
                f"{host} port {port}: cannot be listened at ({error.strerror or error}). Name another --port or --host."
            ) from None
        bound.set_inheritable(True)
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        yield bound, f"http://{shown}:{bound.getsockname()[1]}/"


def _run_here(settings: ServeSettings) -> Callable[[socket.socket], None]:
    """Open what is served, and return what answers in this process until a signal comes."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(import_module(APP).make_app(settings), **UVICORN))

    def stop(*_: object) -> None:
        server.should_exit = True

    def run(bound: socket.socket) -> None:
        # uvicorn raises the signal that ended it once more; an orderly end is no reason for a status of 143.
        before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run([bound])
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    return run


def _run_workers(settings: ServeSettings) -> Callable[[socket.socket], None]:
    """Look whether the vectors can be opened, and return what keeps worker processes answering until a signal comes."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    Vectors.open(settings.vectors)  # what is wrong is one line here, not a crash in every worker
    os.environ[SETTINGS_VARIABLE] = json.dumps(dataclasses.asdict(settings))
    config = uvicorn.Config(f"{APP}:app_of_worker", factory=True, workers=settings.workers, **UVICORN)

    def run(bound: socket.socket) -> None:
        handled = (signal.SIGTERM, signal.SIGINT)
        before = {one: signal.getsignal(one) for one in handled}
        with tempfile.TemporaryDirectory(prefix="audiomae-serve-") as counts:
            os.environ[COUNTS_VARIABLE] = counts  # where the workers' counters add up
            try:
                Multiprocess(config, [bound]).run()
            finally:
                del os.environ[COUNTS_VARIABLE]
                for one, handler in before.items():
                    signal.signal(one, handler)

    return run
