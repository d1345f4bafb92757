"""The map of a collection that is being served: the best one there is now, and a better one on its way.

A map by principal axes takes a second; UMAP of 100,000 tracks takes minutes. The page must not wait for it: it is made
by a process of its own that leaves `map.parquet` beside the vectors, and read from there when it is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from audiomae.atlas.places import best_method
from audiomae.atlas.stored import MAP_FILE, MapPoints, first_map, open_map, read_map
from audiomae.errors import AudiomaeError
from audiomae.vectors.vectors import Vectors

__all__ = [
    "MapKeeper",
]


class MapKeeper:
    """Gives the map of a collection at once, and has a better one made meanwhile.

    Example:
        `points, ready = MapKeeper().points(vectors)`; ask again later where `ready` is False.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vectors: Vectors | None = None
        self._shown: MapPoints | None = None
        self._final = False
        self._tried = False
        self._worker: subprocess.Popen[bytes] | None = None

    def points(self, vectors: Vectors) -> tuple[MapPoints, bool]:
        """Return the map of a collection, and whether it is final.

        It is not final while a better one is being made. Where that cannot be stored (a folder that cannot be written),
        the map by principal axes stays.
        """
        if not len(vectors.tracks):
            nothing = np.zeros(0, np.float32)
            codes, added = np.zeros(0, np.uint16), np.zeros(0, bool)
            return MapPoints(nothing, nothing, codes, (), "pca", added), True
        with self._lock:
            if vectors is not self._vectors:
                self._vectors, self._shown, self._final, self._tried = vectors, None, False, False
            if self._shown is not None and self._final:
                return self._shown, True
            running = self._worker is not None and self._worker.poll() is None  # asked before the disk is
            stored = read_map(vectors, method=best_method(len(vectors.tracks)))
            if stored is not None:
                self._shown, self._final = stored, True
                return stored, True
            if self._shown is None:
                self._shown = first_map(vectors)
            self._final = not running and not self._begin(vectors.folder)
            return self._shown, self._final

    def close(self) -> None:
        """End the process that makes the map, if one runs."""
        with self._lock:
            if self._worker and self._worker.poll() is None:
                self._worker.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._worker.wait(5)
            self._worker = None

    def _begin(self, folder: Path) -> bool:
        """Begin the process that makes the map, where this has not been tried for this collection; return whether."""
        if self._tried:
            return False
        self._tried = True
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "audiomae.serve.projection", str(folder)], stdin=subprocess.DEVNULL
        )
        return True


def make_map(folder: Path | str) -> int:
    """Make the map of a vectors folder, unless another process is at it; return an exit status."""
    folder = Path(folder)
    try:
        with (folder / f".{MAP_FILE}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            open_map(Vectors.open(folder))
    except (OSError, AudiomaeError) as error:
        print(f"no better map of {folder}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(make_map(sys.argv[1]))
