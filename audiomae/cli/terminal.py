"""What a person sees: tables on stdout; progress and notes on stderr, with and without a terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from audiomae.progress import SILENT, Progress, Stage

__all__ = ["listen_to_notes", "print_table", "wide_console"]

LEAST_WIDTH = 110
"""Columns of a table where the terminal is narrower, or there is none."""

LINE_SECONDS = 30.0
"""Without a terminal, seconds between two lines of one stage."""

SPEED_SECONDS = 300.0
"""Seconds that the time left is estimated from; a step of a training can take half a minute."""


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the command line, which ends in silence with 141."""
        raise


def wide_console() -> Console:
    """Return stdout as a console that neither reads markup in titles nor folds tables early."""
    return _Stdout(markup=False, highlight=False, emoji=False, width=max(LEAST_WIDTH, Console().width))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table on stdout.

    Args:
        title: What stands above it.
        columns: Names of the columns.
        rows: Cells as text.
        right: Numbers of the columns that are aligned to the right.
    """
    table = Table(title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, overflow="fold", justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*row)
    wide_console().print(table)


class _BarStage:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self.bars, self.task = bars, task

    def advance(self, amount: float = 1) -> None:
        self.bars.advance(self.task, amount)

    def update(self, done: float, note: str = "") -> None:
        self.bars.update(self.task, completed=done, note=note)


class _LineStage:
    """A line now and then, for log files: what is done, how fast, how long it will take."""

    def __init__(self, name: str, total: float | None, unit: str, done: float) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.first, self.note = done, done, ""
        self.started = self.told = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._tell(self.done + amount, self.note)

    def update(self, done: float, note: str = "") -> None:
        self._tell(done, note)

    def _tell(self, done: float, note: str) -> None:
        self.done, self.note = done, note
        now = time.monotonic()
        if now - self.told >= LINE_SECONDS:
            self.told = now
            print(self.line(now), file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """Return how far the stage is."""
        seconds = max(now - self.started, 1e-9)
        speed = (self.done - self.first) / seconds
        if self.total is None:
            parts = [f"{self.done:,.0f} {self.unit}"]
        elif self.unit:
            parts = [f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"]
        else:
            parts = [f"{100 * self.done / self.total:.0f} %"]
        if self.note:
            parts.append(self.note)
        elif self.unit:
            parts.append(f"{speed:,.1f} {self.unit}/s")
        if self.total is not None and speed > 0:
            parts.append(f"{_clock((self.total - self.done) / speed)} left")
        return f"{self.name}: {', '.join(parts)} (after {_clock(seconds)})"


class TerminalProgress:
    """Shows stages as bars where stderr is a terminal, else as a line every half a minute."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}{task.percentage:>3.0f} %  {task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            refresh_per_second=2,
            speed_estimate_period=SPEED_SECONDS,
        )
        self.open = 0

    @contextmanager
    def stage(self, name: str, *, total: float | None, unit: str = "", done: float = 0) -> Iterator[Stage]:
        """Show one stage for as long as the block lasts."""
        if not self.console.is_terminal:
            yield _LineStage(name, total, unit, done)
            return
        task = self.bars.add_task(
            name,
            total=total,
            completed=done,  # type: ignore[arg-type]  # rich takes shares too
            note="",
            count=f"of {total:,.0f} {unit}  " if unit and total else "",
        )
        self.open += 1
        self.bars.start()
        try:
            yield _BarStage(self.bars, task)
        finally:
            self.bars.stop_task(task)
            self.open -= 1
            if not self.open:
                self.bars.stop()
                for shown in self.bars.task_ids:
                    self.bars.remove_task(shown)

    def say(self, line: str) -> None:
        """Print a note above the bars."""
        self.console.print(line, soft_wrap=True)


class _Notes(logging.Handler):
    def __init__(self, progress: TerminalProgress) -> None:
        super().__init__(logging.INFO)
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.progress.say(record.getMessage())
        except BrokenPipeError:
            pass


@contextmanager
def listen_to_notes(*, main: bool) -> Iterator[Progress]:
    """Show the notes of the package (its logger) and yield a progress, both on stderr, within the block.

    Args:
        main: Whether this is the first of several processes; the others say warnings alone.
    """
    shown = TerminalProgress()
    handler, logger = _Notes(shown), logging.getLogger("audiomae")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if main else logging.ERROR)
    try:
        yield shown if main else SILENT
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
