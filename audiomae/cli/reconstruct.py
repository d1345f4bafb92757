"""What `audiomae reconstruct` says."""

from __future__ import annotations

from audiomae.verbs.reconstruct import ReconstructResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae reconstruct tiny --song song.flac --out reconstruction/"
MAIN = ("song", "out", "start_seconds", "ratio")
"""Settings that `--help` shows first."""


def show(result: ReconstructResult) -> None:
    """Print what was rebuilt, how well, and where it lies."""
    end = result.start_seconds + result.clip_seconds
    print(
        f"{result.start_seconds:.2f} to {end:.2f} s: {result.masked_share:.0%} of the patches masked, rebuilt with an "
        f"error of {result.error_db:.1f} dB (root mean square)"
    )
    sounds = ", ".join(path.name for path in (result.original, result.masked, result.rebuilt))
    print(f"picture: {result.picture}")
    print(f"sounds, beside it: {sounds}")
