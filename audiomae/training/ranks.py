"""What the processes of one training must agree upon: when to stop, what they train, and who says what went wrong."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast, gather_object

from audiomae.errors import AudiomaeError, ConfigError, PeerError

__all__ = [
    "agreed_signal",
    "common_seconds",
    "fail_together",
    "is_sharded",
    "name_lost_peers",
    "refuse_differences",
    "stop_requests",
]

STEPS_BETWEEN_QUESTIONS = 10
"""Steps between two questions on a GPU, where an answer makes the host wait for the device."""

LOST = (
    "connection closed by peer",
    "connection reset by peer",
    "connection refused",
    "broken pipe",
    "timed out",
)
"""What a collective operation says when a process at its other end is gone."""


def is_sharded(accelerator: Accelerator) -> bool:
    """Return whether the weights lie in parts on the processes (FSDP)."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying in the middle of a step; a second one interrupts."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where signals do not arrive
        yield received
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _asks_at(accelerator: Accelerator, step: int) -> bool:
    return accelerator.device.type == "cpu" or step % STEPS_BETWEEN_QUESTIONS == 0


def common_seconds(accelerator: Accelerator, seconds: float, step: int, last: float) -> float:
    """Return the first process's seconds, the same everywhere.

    Args:
        accelerator: The processes.
        seconds: What this process's clock says.
        step: Steps made; on a GPU the answer is renewed every ten.
        last: The answer of the step before.
    """
    if accelerator.num_processes == 1:
        return seconds
    if not _asks_at(accelerator, step):
        return last
    return float(broadcast(torch.tensor([seconds], device=accelerator.device)).item())


def agreed_signal(accelerator: Accelerator, received: int, step: int) -> int:
    """Return the number of a signal that any process has received, so that all stop at the same step; 0 for none.

    Args:
        accelerator: The processes.
        received: What this one has received; 0 for none.
        step: Steps made; on a GPU the processes ask each other every ten.
    """
    if accelerator.num_processes == 1:
        return received
    if not _asks_at(accelerator, step):
        return 0
    numbers = accelerator.gather(torch.tensor([received], device=accelerator.device))
    return int(numbers.max().item())


@contextlib.contextmanager
def fail_together(accelerator: Accelerator) -> Iterator[None]:
    """Let an error of one process end the block on all of them; the first process tells it.

    All processes wait for each other at the end of the block.

    Raises:
        AudiomaeError: On every process the error of the lowest rank that met one.
    """
    mine: AudiomaeError | None = None
    try:
        yield
    except AudiomaeError as error:
        mine = error
    if accelerator.num_processes == 1:
        if mine is not None:
            raise mine
        return
    met = gather_object([None if mine is None else (type(mine), str(mine))])
    ranks = [rank for rank, found in enumerate(met) if found is not None]
    if not ranks:
        return
    kind, line = met[ranks[0]]
    where = "" if len(ranks) == len(met) or ranks[0] == 0 else f"process {ranks[0]} of {len(met)}: "
    shared = kind(where + line)
    shared.told = not accelerator.is_main_process
    raise shared from mine


def refuse_differences(accelerator: Accelerator, identity: str) -> None:
    """Refuse to train where one process was started with other settings, data or code than the first.

    Raises:
        ConfigError: On every process.
    """
    if accelerator.num_processes == 1:
        return
    found = gather_object([identity])
    different = [rank for rank, value in enumerate(found) if value != found[0]]
    if different:
        error = ConfigError(
            f"process {different[0]} of {len(found)} was started with other settings or another corpus than process 0 "
            f"({found[different[0]]}, not {found[0]}). Start all of them with the same command on the same files."
        )
        error.told = not accelerator.is_main_process
        raise error


@contextlib.contextmanager
def name_lost_peers(accelerator: Accelerator) -> Iterator[None]:
    """Turn what a collective operation raises when another process has died into one line.

    Raises:
        PeerError: If another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if accelerator.num_processes == 1 or not any(word in text for word in LOST):
            raise
        raise PeerError(
            f"another of the {accelerator.num_processes} processes is gone. The last checkpoint is intact; run the "
            "same command again, with as many processes or with another number of them."
        ) from error
