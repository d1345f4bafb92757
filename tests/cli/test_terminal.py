"""Progress on stderr, with and without a terminal."""

from __future__ import annotations

import logging

import pytest

from audiomae.cli import terminal
from audiomae.cli.terminal import TerminalProgress, listen_to_notes, print_table


def test_without_a_terminal_a_line_comes_every_half_minute_with_speed_and_time_left(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with TerminalProgress().stage("embedding", total=400, unit="clips", done=40) as stage:
        for _ in range(7):
            now[0] += 10
            stage.advance(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "embedding: 70 of 400 clips, 1.0 clips/s, 5:30 left (after 0:30)",
        "embedding: 100 of 400 clips, 1.0 clips/s, 5:00 left (after 1:00)",
    ]


def test_a_share_shows_its_note_and_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with TerminalProgress().stage("pretrain", total=1.0) as stage:
        now[0] = 60
        stage.update(0.25, "step 50  loss 0.9")
    assert capsys.readouterr().err == "pretrain: 25 %, step 50  loss 0.9, 3:00 left (after 1:00)\n"


def test_notes_of_the_package_go_to_stderr_within_the_block_alone(capsys):
    logger = logging.getLogger("audiomae.somewhere")
    with listen_to_notes(main=True):
        logger.info("5 tracks [bold] left out")
    logger.info("nobody hears this")
    assert capsys.readouterr().err == "5 tracks [bold] left out\n"


def test_other_processes_than_the_first_stay_silent(capsys):
    with listen_to_notes(main=False):
        logging.getLogger("audiomae.somewhere").warning("said by the first")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("title", ["[red] Title", ""])
def test_a_table_prints_markup_as_it_stands(title, capsys):
    print_table(title, ("a", "b"), [("[bold]x", "1")], right=(1,))
    out = capsys.readouterr().out
    assert "[bold]x" in out
    assert title in out
