"""Training runs as the page shows them: curves, pictures, probes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiomae.disk.files import inside, read_json
from audiomae.errors import MissingError
from audiomae.recommend.ids import read_ids
from audiomae.serve.answers import RefusedError

__all__ = ["find_runs", "picture_of_run", "show_run"]

MOST_POINTS = 2000
"""Points of a curve; longer ones are thinned evenly, ends kept."""
MOST_BYTES = 64 << 20
"""Bytes of metrics that are read, from the end."""
PICTURE = r"pictures/[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.png"


def find_runs(named: str | Sequence[str]) -> dict[str, Path]:
    """Return run folders by their names; a second one of a name gets that of the folder above in front.

    Raises:
        MissingError: If one is no run folder.
    """
    found: dict[str, Path] = {}
    for folder in read_ids(named if isinstance(named, str) else tuple(named)):
        path = Path(folder)
        if not (path / "run.json").is_file():
            raise MissingError(
                f"{path}: is no run folder (no run.json). Name one that audiomae pretrain made."
            )
        whole = path.resolve()
        name = whole.name if whole.name not in found else f"{whole.parent.name}-{whole.name}"
        found[name] = path
    return found


def show_run(folder: Path, name: str) -> dict[str, Any]:
    """Return a run's curves, what was held out, its pictures, its result and what it was begun with.

    Raises:
        AudiomaeError: If its files cannot be read.
    """
    metrics, held_out = [], []
    for line in _lines(folder / "metrics.jsonl"):
        if any(key.startswith("held_out") for key in line):
            held_out.append(line)
        else:
            metrics.append(line)
    pictures = sorted(path.name for path in (folder / "pictures").glob("*.png") if _is_picture(path))
    about = read_json(folder / "run.json")
    return {
        "name": name,
        "metrics": _thinned(metrics),
        "held_out": _thinned(held_out),
        "pictures": [f"/api/runs/{name}/pictures/{picture}" for picture in pictures],
        "probe": [_probe(path) for path in sorted(folder.glob("probe*.json"))],
        "result": read_json(folder / "result.json") if (folder / "result.json").is_file() else None,
        "settings": about.get("settings", {}),
        "finished": (folder / "result.json").is_file(),
    }


def picture_of_run(folder: Path, name: str) -> Path:
    """Return the place of a picture.

    Raises:
        RefusedError: If there is no such picture.
    """
    if re.fullmatch(PICTURE, f"pictures/{name}") is None:
        raise RefusedError(404, f"the run has no picture {name[:100]!r}.")
    path = inside(folder, f"pictures/{name}", PICTURE)
    if not path.is_file():
        raise RefusedError(404, f"the run has no picture {name[:100]!r}.")
    return path


def _probe(path: Path) -> dict[str, Any]:
    """Return scores of a probe, with the step that its name says: probe-00001000.json."""
    found = re.search(r"([0-9]{1,12})$", path.stem)
    return {"step": int(found[1]) if found else None, "name": path.stem, **read_json(path)}


def _is_picture(path: Path) -> bool:
    return re.fullmatch(PICTURE, f"pictures/{path.name}") is not None and not path.is_symlink()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file that are whole; a run that is under way may be writing the last."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_BYTES))
            content = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror or error}).") from None
    found = []
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(lines) <= MOST_POINTS:
        return lines
    last = len(lines) - 1
    return [lines[round(place * last / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]
