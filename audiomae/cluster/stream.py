"""Ray Data as a source of results: items go to the nodes of a cluster, results come back in the items' order.

A result is a row with a JSON header, after rows with the pieces of what it makes. Pieces are small and blocks
are bounded, so neither the driver nor a node holds more than a few at a time; what waits for its turn lies in
Ray's object store, which spills to disk. Ray runs a task again when its worker or node dies.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from audiomae.errors import AudiomaeError, ConfigError, StorageError

__all__ = ["PIECE_BYTES", "Piece", "Starts", "join_cluster", "load_ray", "pieces_of", "stream"]

PIECE_BYTES = 4 << 20
BLOCK_BYTES = 16 << 20
LOST_SECONDS = 30.0
"""Time that a cluster may be without its head, or without a node that computes, before the run gives up."""
LOOK_SECONDS = 5.0
"""Time without a result after which the cluster is looked at."""
SCHEMA = pa.schema([("number", pa.int64()), ("header", pa.string()), ("data", pa.large_binary())])
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
"""No telemetry, no bars; workers start in this environment though `uv run` started us; and who has left a cluster
does not join it again unasked."""


class Piece(NamedTuple):
    """What comes back of an item: part of its bytes, or at last what there is to say of it."""

    number: int
    """Which item."""
    data: bytes
    header: dict[str, Any] | None
    """None for part of the bytes."""


def load_ray() -> Any:
    """Return the module `ray`, with `ray.data` loaded, quiet and without telemetry.

    Raises:
        ConfigError: If it is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(
            f"--engine ray needs Ray, which is not installed ({error}). Install it: uv sync --extra ray; or "
            "use --engine local."
        ) from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    module: Any = ray
    return module


@contextlib.contextmanager
def join_cluster(address: str | None, cpus: int = 0) -> Iterator[Any]:
    """Join a cluster, or start one on this machine, and leave it at the end.

    A program that is part of a cluster already stays in it.

    Args:
        address: `auto` for the cluster this machine belongs to, or host:port; None for RAY_ADDRESS, or else a
            cluster of this machine alone.
        cpus: Cores of a cluster started here; 0 for all.

    Yields:
        The module `ray`.

    Raises:
        ConfigError: If Ray is not installed, or the address is none.
        AudiomaeError: If no cluster answers there.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    more: dict[str, Any] = {}
    if address == "local":
        more = {"num_cpus": cpus or None, "include_dashboard": False}
    elif address != "auto" and not answers(address):
        raise AudiomaeError(
            f"no Ray cluster answers at {address}. Start one there (ray start --head), or leave --ray_address "
            "out to use this machine alone."
        )
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **more)
    except Exception as error:  # noqa: BLE001  Ray raises a bare Exception where its start takes too long
        line = " ".join(str(error).split())[:200]
        raise AudiomaeError(
            f"no Ray cluster can be joined at {address} from this machine ({line}). Join this machine to it "
            "(ray start --address=HOST:PORT), or leave --ray_address out to use this machine alone."
        ) from None
    try:
        yield ray
    finally:
        leave(ray)


def leave(ray: Any) -> None:
    """Leave the cluster; one whose head is gone is not waited for."""
    leaving = threading.Thread(target=ray.shutdown, daemon=True)
    leaving.start()
    leaving.join(LOST_SECONDS)


def answers(address: str) -> bool:
    """Return whether something listens at host:port.

    Raises:
        ConfigError: If the address is no host:port.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise ConfigError(
            f"ray_address {address!r} is not one. Use auto, or host:port such as 10.0.0.1:6379."
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, OverflowError):
        return False


def pieces_of(number: int, parts: Iterator[bytes], header: dict[str, Any]) -> Iterator[pa.Table]:
    """Yield a result as a worker returns it: rows of its bytes, and one with its header.

    Args:
        number: Which item.
        parts: Its bytes, in pieces of `PIECE_BYTES` or so.
        header: What there is to say of it, as JSON.
    """
    for part in parts:
        yield pa.table({"number": [number], "header": [""], "data": [part]}, schema=SCHEMA)
    yield pa.table({"number": [number], "header": [json.dumps(header)], "data": [b""]}, schema=SCHEMA)


def stream(
    ray: Any, items: Sequence[Any], work: Any, *, per_task: int, compute: Any, **options: Any
) -> Generator[Piece, None, None]:
    """Have items worked on across the cluster.

    Args:
        ray: The module, joined to a cluster.
        items: JSON values.
        work: Takes a batch, `{"item": JSON texts}`, and yields tables as `pieces_of` does. A function runs in
            tasks, a class in actors.
        per_task: Items a task; a task that is run again does all of its items again.
        compute: Ray Data's strategy for tasks or actors.
        options: More for `ray.data.Dataset.map_batches`.

    Yields:
        Pieces of the results: item after item, in their order.

    Raises:
        AudiomaeError: If a worker refuses, or the cluster is lost.
        StorageError: If a worker cannot write.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    texts = [{"item": json.dumps(item)} for item in items]
    dataset = ray.data.from_items(texts, override_num_blocks=-(-len(texts) // per_task))
    dataset.context.execution_options.preserve_order = True
    dataset.context.target_max_block_size = BLOCK_BYTES
    dataset.context.log_internal_stack_trace_to_stdout = False
    dataset = dataset.map_batches(work, batch_size=per_task, compute=compute, **options)
    for piece in received(ray, dataset):
        if piece.header and "storage" in piece.header:
            raise StorageError(piece.header["storage"])
        if piece.header and "refused" in piece.header:
            raise AudiomaeError(piece.header["refused"])
        yield piece


def received(ray: Any, dataset: Any) -> Iterator[Piece]:
    """Yield the rows of a data set as they come, with an eye on the cluster while none does."""
    waiting: queue.Queue[Any] = queue.Queue(maxsize=2)
    ended = threading.Event()
    thread = threading.Thread(target=read_into, args=(dataset, waiting, ended), daemon=True)
    watch = Watch(ray)
    thread.start()
    try:
        while True:
            try:
                found = waiting.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                watch.look()
                continue
            watch.well()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise AudiomaeError(failure(found)) from found
            for number, header, data in zip(*(found[name] for name in SCHEMA.names), strict=True):
                text = header.as_py()
                yield Piece(number.as_py(), data.as_py(), json.loads(text) if text else None)
    finally:
        ended.set()
        thread.join(LOOK_SECONDS)


def read_into(dataset: Any, waiting: queue.Queue[Any], ended: threading.Event) -> None:
    """Put the tables of a data set into a queue, then None; or what went wrong."""
    last: Any = None
    try:
        for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
            if not put(waiting, table, ended):
                return
    except BaseException as error:  # noqa: BLE001  it is raised where the tables are read
        last = error
    put(waiting, last, ended)


def put(waiting: queue.Queue[Any], value: Any, ended: threading.Event) -> bool:
    """Put a value into a queue once there is room; return False if nobody reads any more."""
    while not ended.is_set():
        with contextlib.suppress(queue.Full):
            waiting.put(value, timeout=0.5)
            return True
    return False


def failure(error: BaseException) -> str:
    """Return one line for what Ray raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray gave up: {type(error).__name__}: {lines[-1][:300] if lines else ''}"


class Starts:
    """For an actor that knows which items were begun and not ended: at each of those a worker died."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}

    def begin(self, number: int) -> int:
        """Note that an item is begun; return how often it was before, without an end."""
        self.open[number] = self.open.get(number, 0) + 1
        return self.open[number] - 1

    def end(self, number: int) -> None:
        """Note that an item is ended."""
        self.open.pop(number, None)


class Watch:
    """Knows since when the cluster has been without its head, or without a node that computes."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        self.address = str(ray.get_runtime_context().gcs_address)
        self.ill_since: float | None = None

    def well(self) -> None:
        """Note that a result came."""
        self.ill_since = None

    def look(self) -> None:
        """Look at the cluster.

        Raises:
            AudiomaeError: If it has been lost for `LOST_SECONDS`.
        """
        if not answers(self.address):
            ill = f"the head of the Ray cluster at {self.address} does not answer any more"
        elif not any(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in self.ray.nodes()):
            ill = f"no node of the Ray cluster at {self.address} is alive that has a CPU"
        else:
            self.ill_since = None
            return
        self.ill_since = self.ill_since or time.monotonic()
        if time.monotonic() - self.ill_since >= LOST_SECONDS:
            raise AudiomaeError(
                f"{ill}. What was finished is kept: start the cluster, then run the same command again; or go "
                "on with --engine local."
            )
