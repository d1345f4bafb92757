"""Range checks and close matches, one helper for all settings."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from audiomae.checks import close_to, require, require_all
from audiomae.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (0, {"least": 1}, "x is 0; it must be at least 1."),
        (0.0, {"above": 0}, "x is 0.0; it must be above 0."),
        (1.0, {"above": 0, "below": 1}, "x is 1.0; it must be above 0 and below 1."),
        (9, {"least": 0.01, "most": 3, "unit": "seconds"}, "x is 9; it must be from 0.01 to 3 seconds."),
        (2, {"most": 1}, "x is 2; it must be at most 1."),
        (math.nan, {"least": 1}, "x is nan; it must be at least 1."),
        (math.nan, {}, "x is nan; it must be a number."),
    ],
)
def test_a_number_out_of_range_is_refused_with_value_and_limit(value, limits, said):
    with pytest.raises(ConfigError) as caught:
        require("x", value, **limits)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("value", "limits"), [(1, {"least": 1}), (1, {"most": 1}), (0.5, {"above": 0, "below": 1})]
)
def test_a_number_at_an_inclusive_limit_passes(value, limits):
    require("x", value, **limits)


def test_the_first_field_out_of_range_is_named_with_its_prefix():
    with pytest.raises(ConfigError, match=r"train\.b is 0"):
        require_all(SimpleNamespace(a=1, b=0, c=0), "a", "b", "c", prefix="train.", least=1)


def test_close_names_are_offered_and_otherwise_the_other_sentence():
    assert close_to("eats", ["east", "north"]) == "Close: east."
    assert close_to("zzz", ["east"], otherwise="There is east.") == "There is east."
