"""Dataclasses from JSON: the right types or one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from audiomae.audio.mel import MelSettings
from audiomae.checks import require
from audiomae.disk.records import as_record
from audiomae.errors import DataError, MissingError


@dataclass(frozen=True)
class Part:
    name: str
    bytes: int


@dataclass(frozen=True)
class Folder:
    dim: int
    scale: float
    parts: tuple[Part, ...]
    kind: Literal["a", "b"] = "a"
    note: str | None = None
    about: dict[str, str] | None = None
    open: bool = False

    def __post_init__(self) -> None:
        require("dim", self.dim, least=1, most=100)


GOOD: dict[str, Any] = {"dim": 3, "scale": 2, "parts": [{"name": "x", "bytes": 1}], "more": [1]}


def test_what_is_right_is_read_with_defaults_and_other_entries_are_passed_over():
    assert as_record(GOOD, Folder, where="a.json") == Folder(3, 2.0, (Part("x", 1),))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dim": "3"}, "dim is '3'; it must be a whole number"),
        ({"dim": 3.0}, "dim is 3.0; it must be a whole number"),
        ({"dim": True}, "dim is True; it must be a whole number"),
        ({"dim": 10**30}, "dim is 1000000000000000000000000000000; it must be a whole number"),
        ({"dim": 101}, "dim is 101; it must be from 1 to 100"),
        ({"scale": None}, "scale is None; it must be a finite number"),
        ({"scale": float("nan")}, "scale is nan; it must be a finite number"),
        ({"scale": 10**400}, r"scale is 1000.*\.\.\.; it must be a finite number"),
        ({"parts": {}}, "parts is dict; it must be a list"),
        ({"parts": [1]}, r"parts\[0\] is 1; it must be an object"),
        ({"parts": [{"name": 1, "bytes": 1}]}, r"parts\[0\]\.name is 1; it must be text"),
        ({"kind": "c"}, "kind is 'c'; it must be one of a, b"),
        ({"kind": ["a"]}, "kind is list; it must be one of a, b"),
        ({"note": 1}, "note is 1; it must be text"),
        ({"about": {"a": 1}}, r"about\.a is 1; it must be text"),
        ({"open": 1}, "open is 1; it must be true or false"),
    ],
)
def test_an_entry_of_another_type_or_size_is_one_line(change, line):
    with pytest.raises(DataError, match=f"^f.json: {line}"):
        as_record(GOOD | change, Folder, where="f.json")


def test_a_missing_entry_and_where_asked_for_an_unknown_one_are_named():
    with pytest.raises(
        MissingError, match=r"^f\.json: entry 'parts\[0\]\.bytes' is missing|entry 'dim' is missing"
    ):
        as_record({}, Folder, where="f.json")
    with pytest.raises(DataError, match=r"^f\.json: entry 'mel' is not known\. Close: mels\."):
        as_record({"mel": 1}, MelSettings, where="f.json", strict=True)
    with pytest.raises(DataError, match=r"^f\.json: it is list; it must be an object"):
        as_record([], Folder, where="f.json")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"mels": "80"}, "mels is '80'; it must be a whole number"),
        ({"mels": 10**6}, "mel.mels is 1000000; it must be from 1 to 1024"),
        ({"n_fft": 10**9}, "mel.n_fft is 1000000000; it must be from 16 to 65536"),
        ({"low_hz": "50"}, "low_hz is '50'; it must be a finite number"),
    ],
)
def test_mel_settings_from_json_are_bounded(change, line):
    with pytest.raises(DataError, match=line):
        as_record(change, MelSettings, where="f.json")
