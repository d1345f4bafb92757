"""Ids of users and tracks as people write them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from audiomae.errors import ConfigError

__all__ = ["read_ids"]


def read_ids(given: str | Sequence[str]) -> list[str]:
    """Return ids as a list: of a sequence, of text between commas, or of a JSON list.

    What begins with `[` and is not JSON is text: an id may begin so. One that begins with `["` was meant as JSON.

    Raises:
        ConfigError: If what begins like a JSON list of texts is not one.

    Example:
        >>> read_ids("7, b"), read_ids('["a, b", 7]'), read_ids(("x",)), read_ids("[live] a, ~")
        (['7', 'b'], ['a, b', '7'], ['x'], ['[live] a', '~'])
    """
    if not isinstance(given, str):
        return [str(one) for one in given]
    if given.startswith("["):
        try:
            return [str(one) for one in json.loads(given)]
        except ValueError:
            if given[1:].lstrip().startswith('"'):
                raise ConfigError(
                    f'{given} is not a JSON list; write it like \'["one", "two"]\', or one,two.'
                ) from None
    return [part.strip() for part in given.split(",") if part.strip()]
