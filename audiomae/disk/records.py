"""Dataclasses from JSON: every value of the type that its field names, finite, and within the class's own bounds."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from audiomae.checks import close_to
from audiomae.errors import ConfigError, DataError, MissingError

__all__ = ["as_record"]

Record = TypeVar("Record")

LARGEST = 2**63
"""Whole numbers stay below; no size, count or time of ours comes near."""


def as_record(value: object, kind: type[Record], *, where: object, strict: bool = False) -> Record:
    """Return a JSON object as a dataclass.

    Args:
        value: What was read.
        kind: The dataclass. Fields may be int, float, str, bool, Literal, tuple, list, dict, dataclasses, and any
            of them or None.
        where: File, for messages; a dot and the entry's name are put behind a name that is no path.
        strict: Whether an entry that the class does not have is refused.

    Raises:
        DataError: If an entry is missing, of another type or out of range.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     width: int
        >>> as_record({"width": 3, "depth": 1}, Size, where="size.json")
        Size(width=3)
        >>> as_record({"width": "3"}, Size, where="size.json")
        Traceback (most recent call last):
        audiomae.errors.DataError: size.json: width is '3'; it must be a whole number. Take another copy.
    """
    record: Record = _record(value, kind, str(where), "", strict)
    return record


def _record(value: object, kind: type[Any], where: str, name: str, strict: bool) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(where, name, value, "an object")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    prefix = f"{name}." if name else ""
    if strict and (unknown := sorted(set(map(str, value)) - set(fields))):
        hint = close_to(unknown[0], fields, otherwise=f"There are {', '.join(fields)}.")
        raise DataError(f"{where}: entry {prefix + unknown[0]!r} is not known. {hint}")
    read, hints = {}, get_type_hints(kind)
    for field in fields.values():
        if field.name in value:
            read[field.name] = _value(
                value[field.name], hints[field.name], where, prefix + field.name, strict
            )
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise MissingError(f"{where}: entry {prefix + field.name!r} is missing. Take another copy.")
    try:
        return kind(**read)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None


def _value(value: object, kind: Any, where: str, name: str, strict: bool) -> Any:
    """Return a value as the type that a field names."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _value(value, next(one for one in inner if one is not type(None)), where, name, strict)
    if origin is Literal:
        if not isinstance(value, str | int) or value not in inner:
            raise _wrong(where, name, value, f"one of {', '.join(map(str, inner))}")
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(value, kind, where, name, strict)
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise _wrong(where, name, value, "a list")
        return origin(
            _value(one, inner[0], where, f"{name}[{place}]", strict) for place, one in enumerate(value)
        )
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, name, value, "an object")
        return {str(key): _value(one, inner[1], where, f"{name}.{key}", strict) for key, one in value.items()}
    return _plain(value, kind, where, name)


def _plain(value: object, kind: Any, where: str, name: str) -> Any:
    """Return a number, a text or a truth."""
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LARGEST:
            raise _wrong(where, name, value, "a whole number")
        return value
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise _wrong(where, name, value, "a finite number")
        return value  # a whole number stays one: fingerprints are made of what was written
    for plain, words in ((str, "text"), (bool, "true or false")):
        if kind is plain:
            if not isinstance(value, plain):
                raise _wrong(where, name, value, words)
            return value
    return value  # Any


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _wrong(where: str, name: str, value: object, wanted: str) -> DataError:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return DataError(f"{where}: {name or 'it'} is {shown}; it must be {wanted}. Take another copy.")
