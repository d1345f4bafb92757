"""What settings and names are checked with: one line that says value, limit and way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from audiomae.errors import ConfigError

__all__ = ["close_to", "require", "require_all"]


def require(
    name: str,
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    unit: str = "",
) -> None:
    """Refuse a number that is out of range, or is not a number.

    Args:
        name: Name of the setting, as a user writes it.
        value: Its value.
        least: Smallest value that is right.
        above: Value that it must pass, instead of `least`.
        most: Largest value that is right.
        below: Value that it must stay under, instead of `most`.
        unit: What it is counted in.

    Raises:
        ConfigError: If it is out of range.

    Example:
        >>> require("train.batch", 0, least=1)
        Traceback (most recent call last):
        audiomae.errors.ConfigError: train.batch is 0; it must be at least 1.
    """
    low = value >= least if least is not None else value > above if above is not None else value == value
    high = value <= most if most is not None else value < below if below is not None else value == value
    if low and high:
        return
    if least is not None and most is not None:
        wanted = f"from {least:g} to {most:g}"
    else:
        words = (("at least", least), ("above", above), ("at most", most), ("below", below))
        wanted = " and ".join(f"{word} {limit:g}" for word, limit in words if limit is not None) or "a number"
    raise ConfigError(f"{name} is {value}; it must be {wanted}{' ' if unit else ''}{unit}.")


def require_all(settings: Any, *names: str, prefix: str = "", **limits: Any) -> None:
    """Refuse settings of which a named field is out of range; `limits` are those of `require`.

    Raises:
        ConfigError: With the first that is.
    """
    for name in names:
        require(f"{prefix}{name}", getattr(settings, name), **limits)


def close_to(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return a sentence with the known names that are most like one nobody knows.

    Args:
        name: What was asked for.
        known: What there is.
        otherwise: The sentence where nothing is like it.

    Example:
        >>> close_to("trak", ["track", "title"])
        'Close: track.'
    """
    close = difflib.get_close_matches(name, sorted(set(known) - {""}), n=3)
    return f"Close: {', '.join(close)}." if close else otherwise
