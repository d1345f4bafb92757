"""Settings as text: what YAML would take for nothing stays text, and a file that never ends is refused.

The command line and settings files are read by jsonargparse, which reads every value as YAML: the id `null` or `~`
would be no id. Such text carries a mark until the settings are built.
"""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from jsonargparse import Namespace, get_loader, set_loader

__all__ = [
    "YAML_MODE",
    "as_text",
    "read_yaml",
    "reads_as_nothing",
    "takes_text",
    "teach_yaml",
    "without_marks",
]

TEXT_MARK = "\ue000"
"""Stands before text that YAML would read as nothing (null, ~, # …), until the settings are built."""
YAML_MODE = "audiomae"
LARGEST_YAML = 100_000
"""Values in a file of settings, at most, those that an alias repeats counted each time."""


def as_text(value: str) -> str:
    """Mark a value as text, so that an id such as `null`, `~` or `[x]` is not read as YAML."""
    return TEXT_MARK + value


def takes_text(action: Any) -> bool:
    """Return whether a flag of a parser takes a text: its type is str, or str or something else."""
    kind = getattr(action, "_typehint", None)
    return kind is str or (str in get_args(kind) and get_origin(kind) in (Union, UnionType))


def reads_as_nothing(text: str) -> bool:
    """Return whether YAML would take a text for nothing: `null`, `~`, a comment."""
    try:
        return bool(text) and yaml.safe_load(text) is None
    except (yaml.YAMLError, RecursionError):
        return False


def without_marks(value: Any) -> Any:
    """Return parsed settings without the marks, changed in place."""
    if isinstance(value, str):
        return value.removeprefix(TEXT_MARK)
    if isinstance(value, list):
        return [without_marks(one) for one in value]
    if isinstance(value, tuple):
        return tuple(without_marks(one) for one in value)
    if isinstance(value, dict):
        return {name: without_marks(one) for name, one in value.items()}
    if isinstance(value, Namespace):
        for name, one in vars(value).items():
            value[name] = without_marks(one)
    return value


def teach_yaml() -> None:
    """Give jsonargparse a reader of YAML that keeps quoted text and refuses what never ends."""
    load = get_loader("yaml")
    set_loader(YAML_MODE, lambda text: _guarded(load, text), (yaml.YAMLError,))


def read_yaml(text: str) -> Any:
    """Return the values of a YAML text.

    Raises:
        YAMLError: If it is not YAML, is nested too deep, or repeats itself without end.
    """
    return without_marks(_guarded(yaml.safe_load, text))


def _guarded(load: Callable[[str], Any], text: str) -> Any:
    """Return what a reader of YAML makes of a text, quoted `null` and the like marked; refuse what never ends."""
    try:
        value = load(text)
    except RecursionError:
        raise yaml.YAMLError("nested too deep") from None
    return _kept(value, [LARGEST_YAML], 0)


def _kept(value: Any, left: list[int], depth: int) -> Any:
    """Return YAML values with quoted `null` and the like marked; `left` counts down the values that may come."""
    left[0] -= 1
    if left[0] < 0 or depth > 50:
        raise yaml.YAMLError("nested too deep, or it repeats itself without end")
    if isinstance(value, dict):
        return {name: _kept(one, left, depth + 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_kept(one, left, depth + 1) for one in value]
    return as_text(value) if depth and isinstance(value, str) and reads_as_nothing(value) else value
