"""The artists that a tag names: one, or several joined as people join them."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["split_artists"]

GUESTS = re.compile(
    r"\s+[(\[]?(?:feat|ft|featuring)\b\.?\s+|[(\[](?:feat|ft|featuring)\b\.?\s+", re.IGNORECASE
)
"""What stands before guests, with a bracket or without."""
JOINED = re.compile(r"\s*;\s*|\s+&\s+")


@lru_cache(maxsize=1 << 16)
def split_artists(text: str) -> tuple[str, ...]:
    """Return the artists that a tag names, in order, each once; none where it is empty.

    Guests after feat., ft. or featuring, and names joined by `;` or ` & `, count each. A name may hold a comma, a slash
    or "and" itself (AC/DC; Earth, Wind and Fire), so those part nothing.

    Example:
        >>> split_artists("Ann feat. Bob & Cy"), split_artists("Ann (ft. Bob)"), split_artists("AC/DC; Ann")
        (('Ann', 'Bob', 'Cy'), ('Ann', 'Bob'), ('AC/DC', 'Ann'))
    """
    first, *guests = GUESTS.split(text)
    names = [*JOINED.split(first), *(name.rstrip(")] ") for part in guests for name in JOINED.split(part))]
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
