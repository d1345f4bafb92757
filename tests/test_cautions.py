from __future__ import annotations

import pytest

from audiomae.cautions import FEW_JUDGED, caution_of


def test_few_users_are_counted_and_what_chance_does_is_said():
    line = caution_of(12, "users")
    assert line == (
        "these figures decide nothing: 12 users were judged, and chance alone moves a share of so few by up to 0.28; "
        "judge 50 or more."
    )


@pytest.mark.parametrize(
    ("k", "candidates", "told"), [(20, 27, "74 % of the 27 songs"), (50, 27, "100 % of the 27")]
)
def test_a_list_that_holds_much_of_the_songs_decides_nothing(k, candidates, told):
    line = caution_of(1000, "users", k=k, candidates=candidates, figures="recall")
    assert line.startswith(f"recall decide nothing: a list of {k} holds {told}")
    assert "at most 10 % of the songs" in line
    assert "were judged" not in line


def test_enough_users_and_songs_need_no_caution():
    assert caution_of(FEW_JUDGED, "users", k=20, candidates=200) == ""
    assert caution_of(FEW_JUDGED - 1, "users", k=20, candidates=200) != ""
    assert caution_of(FEW_JUDGED, "users", k=20, candidates=199) != ""


def test_nobody_judged_is_a_line_too():
    assert "0 users were judged" in caution_of(0, "users")
