"""Which music the demo takes where nobody names songs, and that the same command goes on with it."""

from __future__ import annotations

import shutil
from pathlib import Path

from audiomae.disk.files import read_json, write_json

__all__ = ["PACKAGES", "choose_source", "remember_source"]

PACKAGES = ("wesnoth-1.16-music", "singularity-music", "drascula-music")
"""81 songs, about 4 h, 230 MB to download."""

FORMAT = "audiomae-demo/1"


def choose_source(out: Path, asked: str) -> str:
    """Return debian or generated: what an earlier run took, what is asked for, or what can be had.

    Args:
        out: The demo's folder.
        asked: debian, generated, or auto.
    """
    if (out / "demo.json").exists():
        return str(read_json(out / "demo.json", format=FORMAT)["source"])
    if asked != "auto":
        return asked
    return "debian" if shutil.which("apt-get") and shutil.which("dpkg") else "generated"


def remember_source(out: Path, source: str) -> None:
    """Write down which music was taken."""
    write_json(out / "demo.json", {"format": FORMAT, "source": source})
