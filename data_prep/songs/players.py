"""Songs that are played rather than decoded: tracker modules and MIDI, rendered to WAV where a player is installed."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PLAYED", "render"]

MODULES = frozenset((".it", ".mod", ".mptm", ".s3m", ".xm"))
MIDI = frozenset((".mid", ".midi"))
PLAYED = MODULES | MIDI
"""Endings, in lower case, of the files that need a player."""
SOUNDFONTS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
LONGEST_SECONDS = 300.0
"""Time that a player may take for one song."""

logger = logging.getLogger(__name__)


def render(files: Sequence[Path]) -> list[Path]:
    """Render songs to `NAME.wav` beside them, NAME with its ending.

    Modules take openmpt123, MIDI takes FluidSynth and a soundfont; where those are not installed, songs are left out
    and their number and the reason logged.

    Args:
        files: Files with an ending of `PLAYED`.

    Returns:
        The WAV files that were made.
    """
    made: list[Path] = []
    modules = [path for path in files if path.suffix.lower() in MODULES]
    midi = [path for path in files if path.suffix.lower() in MIDI]
    if modules and not shutil.which("openmpt123"):
        logger.warning(
            "left out %d tracker modules: openmpt123, which plays them, is not installed", len(modules)
        )
        modules = []
    font = find_soundfont()
    if midi and not (shutil.which("fluidsynth") and font):
        missing = "a soundfont" if shutil.which("fluidsynth") else "FluidSynth"
        logger.warning("left out %d MIDI files: %s, which plays them, is not installed", len(midi), missing)
        midi = []
    for path in modules:
        out = path.with_name(f"{path.name}.wav")
        made += played(["openmpt123", "--quiet", "--force", "-o", str(out), str(path)], path, out)
    for path in midi:
        out = path.with_name(f"{path.name}.wav")
        made += played(["fluidsynth", "-n", "-i", "-q", "-F", str(out), str(font), str(path)], path, out)
    return made


def find_soundfont() -> Path | None:
    """Return the first soundfont that is installed."""
    found = [path for folder in SOUNDFONTS for path in sorted(Path(folder).glob("*.sf[23]"))]
    return found[0] if found else None


def played(command: list[str], path: Path, out: Path) -> list[Path]:
    """Run a player; return what it made, nothing if it fails."""
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_SECONDS, check=False
        )
        if result.returncode == 0 and out.is_file() and out.stat().st_size:
            return [out]
        said = f"{command[0]} exits with {result.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        said = type(error).__name__
    out.unlink(missing_ok=True)
    logger.warning("left out %s: it could not be rendered (%s)", path.name, said)
    return []
