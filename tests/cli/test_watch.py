"""What `audiomae watch` prints."""

from __future__ import annotations

from audiomae.cli.watch import show
from audiomae.verbs.watch import WatchResult


def test_what_was_done_and_what_there_is_stands_in_one_line(capsys):
    show(WatchResult("v", 1812, 42, 3, 0, 2, 1, 1, 4, 12.4))
    assert capsys.readouterr().out == (
        "v: 1,812 songs, generation 42 (3 added, 2 moved, 1 removed, 1 left out in 12 s)\n"
    )
    show(WatchResult("v", 5, 1, 0, 0, 0, 0, 0, 0, 0.6))
    assert capsys.readouterr().out == "v: 5 songs, generation 1 (nothing changed in 1 s)\n"
