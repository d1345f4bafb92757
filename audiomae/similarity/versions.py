"""Versions of one song: what their titles share once "live", "remastered" and the like are taken off."""

from __future__ import annotations

import re

__all__ = ["plain_title"]

WORDS = (
    r"live|remaster(?:ed)?|acoustic|demo|edit|mix|remix|version|mono|stereo|instrumental|unplugged|session|take|reprise|"
    r"karaoke|extended|radio|bonus|alternate|single|album"
)
BRACKETED = re.compile(rf"[(\[][^)\]]*\b(?:{WORDS})\b[^)\]]*[)\]]", re.IGNORECASE)
TRAILING = re.compile(rf"\s[-–—]\s[^-–—]*\b(?:{WORDS})\b[^-–—]*$", re.IGNORECASE)


def plain_title(title: str) -> str:
    """Return a title without what names a version, in small letters; empty stays empty.

    Example:
        >>> plain_title("Sun (Live at Leeds)"), plain_title("Sun - Remastered 2011"), plain_title("Alive (again)")
        ('sun', 'sun', 'alive (again)')
    """
    bare = TRAILING.sub("", BRACKETED.sub("", title))
    return " ".join((bare.strip() or title).casefold().split())
