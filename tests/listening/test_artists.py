"""Several artists in one tag."""

from __future__ import annotations

import pytest

from audiomae.listening.artists import split_artists


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ann", ("Ann",)),
        ("Ann feat. Bob", ("Ann", "Bob")),
        ("Ann Feat Bob & Cy; Di", ("Ann", "Bob", "Cy", "Di")),
        ("Ann (feat. Bob)", ("Ann", "Bob")),
        ("Ann [ft. Bob & Cy]", ("Ann", "Bob", "Cy")),
        ("Ann featuring Bob", ("Ann", "Bob")),
        ("Ann;Bob", ("Ann", "Bob")),
        ("Ann; Bob; Ann", ("Ann", "Bob")),
        ("Earth, Wind and Fire", ("Earth, Wind and Fire",)),
        ("AC/DC", ("AC/DC",)),
        ("R&B Kid", ("R&B Kid",)),
        ("Little Feat", ("Little Feat",)),
        ("Daft Punk", ("Daft Punk",)),
        ("Godspeed (You)", ("Godspeed (You)",)),
        ("", ()),
        (" ; ", ()),
    ],
)
def test_a_tag_names_these_artists(text, names):
    assert split_artists(text) == names
