"""Being woken when something happens in a folder: by the system where `watchfiles` is installed, else by the clock."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Notice"]

AGAIN_SECONDS = 5.0
"""After how long a folder that could not be followed is tried again."""


class Notice:
    """Wakes whoever waits when a file in a folder changes.

    Args:
        songs: The folder.
        out: Folder in which changes do not count, as they are ours.

    Attributes:
        hears: Whether the system tells of changes; network mounts may be silent all the same.
    """

    def __init__(self, songs: Path, out: Path) -> None:
        self.songs, self.out = songs, f"{out}/"
        self.hears = find_spec("watchfiles") is not None
        self._woken, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        if self.hears:
            self._thread = threading.Thread(target=self._follow, name="notice", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until something happens, but no longer than some seconds."""
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End the wait."""
        self._woken.set()

    def close(self) -> None:
        """Follow no longer."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(5)

    def _follow(self) -> None:
        from watchfiles import watch

        while not self._ended.is_set():
            try:
                for _ in watch(
                    self.songs,
                    watch_filter=lambda _, path: not path.startswith(self.out),
                    debounce=200,
                    step=50,
                    rust_timeout=500,
                    stop_event=self._ended,
                    raise_interrupt=False,
                    ignore_permission_denied=True,
                ):
                    self.wake()
            except (OSError, RuntimeError):  # it is not there, or the system follows no more folders
                self._ended.wait(AGAIN_SECONDS)
