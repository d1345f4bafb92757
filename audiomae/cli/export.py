"""What `audiomae export` says."""

from __future__ import annotations

from audiomae.atlas.embedding_atlas import atlas_command
from audiomae.verbs.export import ExportResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae export run/ corpus/ --out vectors/"
MAIN = ("out", "whiten", "whiten_kind", "device", "threads")
"""Settings that `--help` shows first."""


def show(result: ExportResult) -> None:
    """Print what the folder holds."""
    whitened = ", whitened" if result.whiten else ""
    print(
        f"{result.vectors}: {result.tracks:,} tracks, {result.clips:,} clips, {result.dim:,} values each "
        f"(layer {result.layer}, {result.pool}{whitened}), fingerprint {result.fingerprint}"
    )
    if result.found_complete:
        print("already complete, nothing to do")
    if result.atlas:
        print(f"open it: {atlas_command(result.atlas)}")
    if result.left_out:
        songs = "song" if len(result.left_out) == 1 else "songs"
        print(f"left out: {len(result.left_out)} {songs} that could not be used, named above")
