"""The files of a ranker.

ranker/
    ranker.json         format, features, the towers it was trained on, what it measured, which order is kept
    ranker-DIGEST.txt   the trees, LightGBM's own text; ranker.txt in folders of earlier versions

The text is named by its digest, which `ranker.json` holds and switches by: a retraining that is killed between the two
leaves the pair of before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomae.disk.files import fingerprint_of, inside, read_json, write_atomically, write_json

__all__ = ["read_ranker_meta", "read_trees", "write_ranker"]

FORMAT = "audiomae-ranker/1"
_EARLIER = "ranker.txt"


def write_ranker(folder: Path, meta: Mapping[str, Any], text: str) -> None:
    """Write the trees, then `ranker.json`, which switches to them; then the trees of before go."""
    digest = fingerprint_of(text.encode())
    trees = folder / f"ranker-{digest}.txt"
    with write_atomically(trees) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_json(folder / "ranker.json", {**meta, "format": FORMAT, "digest": digest})
    for path in (folder / _EARLIER, *folder.glob("ranker-*.txt")):
        if path != trees:
            path.unlink(missing_ok=True)


def read_ranker_meta(folder: Path) -> dict[str, Any]:
    """Return what `ranker.json` says.

    Raises:
        MissingError: If it is not there or cut short.
        DataError: If it is of another format.
    """
    return read_json(folder / "ranker.json", format=FORMAT)


def read_trees(folder: Path, digest: str) -> tuple[Path, str | None]:
    """Return where the trees of a digest lie, and their text; None where it is missing, cut short or changed.

    Raises:
        DataError: If the digest is none, or the file a link that leads out of the folder.
    """
    path = inside(folder, f"ranker-{digest}.txt", r"ranker-[0-9a-f]{16}\.txt")
    if not path.exists() and (folder / _EARLIER).exists():
        path = folder / _EARLIER
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return path, None
    return path, text if fingerprint_of(text.encode()) == digest else None
