"""`audiomae watch` as a process beside another one, which it ends with."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from audiomae.disk.commits import latest
from audiomae.errors import AudiomaeError

__all__ = ["end_with_parent", "watch_beside"]

log = logging.getLogger(__name__)

PARENT_VARIABLE = "AUDIOMAE_WATCH_PARENT"
"""Environment variable that holds the number of the process with which a watcher ends."""
NICENESS = 10
"""How far the watcher stands back for whoever answers requests."""
AGAIN_SECONDS = 60.0
"""After how long a watcher that ended by itself is started again."""
END_SECONDS = 15.0
"""How long a watcher has to end before it is killed."""
LOOK_SECONDS = 0.2


@contextlib.contextmanager
def watch_beside(songs: str, vectors: str, model: str) -> Iterator[None]:
    """Keep a vectors folder up to date by a process of its own for as long as the block lasts.

    The block begins once the folder can be opened, which may hold no songs yet. What the watcher says goes to stderr.

    Args:
        songs: Folder of songs.
        vectors: Vectors folder, made if it is not there.
        model: Run folder of the model, or the name of one in the package.

    Raises:
        AudiomaeError: If there is no vectors folder and the watcher has ended without making it.
    """
    words = ["watch", str(Path(songs).resolve()), "--out", vectors, "--model", model]
    child = _Child(words)
    try:
        while not latest(vectors, "vectors.json").exists():
            if (status := child.process.poll()) is not None:
                raise AudiomaeError(
                    f"{vectors}: was not made, as audiomae watch ended with {status}; the line above says why."
                )
            time.sleep(LOOK_SECONDS)
        child.keep_up()
        yield
    finally:
        child.end()


class _Child:
    """The process, started again where it ends by itself."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "audiomae", *self._words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,  # Ctrl-C reaches the service, which ends it
        )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process

    def keep_up(self) -> None:
        """Start it again, some time after it has ended by itself, until `end`."""
        self._thread = threading.Thread(target=self._look_after, name="watch", daemon=True)
        self._thread.start()

    def _look_after(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            if (status := self.process.poll()) is not None:
                log.warning("audiomae watch ended with %s; it starts again in %g s", status, AGAIN_SECONDS)
                if not self._ending.wait(AGAIN_SECONDS):
                    self.process = self._start()

    def end(self) -> None:
        """End it in order, or by force where that takes too long."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def end_with_parent(stop: Callable[[], object]) -> None:
    """Call `stop` once the process is gone that started this one to run beside it; do nothing without one."""
    parent = os.environ.get(PARENT_VARIABLE, "")
    if not parent.isdigit():
        return

    def look() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        stop()

    threading.Thread(target=look, name="parent", daemon=True).start()
