"""Kill verbs with -9 at random moments, run the same command again, and compare every byte with an unbroken run.

    python benchmarks/crashes.py [VERB ...] [--kills 50] [--seed 0]

A command runs in a process forked from this one, which has imported whatever the unbroken run did, so that a kill
costs what the command does and not its imports. It leads a process group, and the kill ends the whole group (the
workers of `prepare` are forked too). Half of the kills come at a random time within the command's duration, half just
before a random one of its file operations (open to write, rename, remove, make a folder), where most of what can go
wrong does. Every third rerun is killed as well. A run that ended before its kill is drawn again.

After the last rerun the folder must hold the files of the unbroken run, byte for byte, and no other. Not compared:
locks, TensorBoard's files and `speed.jsonl`, which hold times, and `elapsed` in a checkpoint's `state.json`. Where a
case has a reader, that must work between kill and rerun, and say what it said before the command or after it.
Ends with 1 if anything differs.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # a process with idle threads must not be forked

import argparse
import contextlib
import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from crash_cases import CASES, Case
from report import conditions, markdown

from audiomae.cli.main import main as audiomae_main
from audiomae.corpus import pool

OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
UNCOMPARED = (".lock", "speed.jsonl")
EARLIEST = 0.02
"""Seconds after which a process may be killed."""
STAGES = ("before the first file", "between two files", "within a write or commit", "after the last file")


class Ended(NamedTuple):
    """How a process ended."""

    status: int | None
    """Exit status; None where it was killed."""
    seconds: float
    operations: int
    """File operations, where it was not killed."""
    said: str
    """What it printed on stdout, or on stderr where it failed."""


def run(place: Path, work: Callable[[], int], *, after: float = float("inf"), at: int = -1) -> Ended:
    """Do `work` in a forked process with `place` as its working folder.

    Args:
        place: The folder; what the process prints lies in it.
        work: Returns the exit status.
        after: Seconds after which its group is killed.
        at: Number of the file operation before which it is.
    """
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(place, work, at)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    ended = 0
    while not ended:
        ended, status = os.waitpid(child, 0 if after == float("inf") else os.WNOHANG)
        if not ended and time.monotonic() - begin > after:
            os.killpg(child, signal.SIGKILL)
            ended, status = os.waitpid(child, 0)
        elif not ended:
            time.sleep(0.001)
    seconds = time.monotonic() - begin
    with contextlib.suppress(OSError):  # its workers are gone, too, before anybody looks at the folder
        for _ in range(200):
            os.killpg(child, signal.SIGKILL)
            time.sleep(0.005)
    if os.WIFSIGNALED(status):
        return Ended(None, seconds, 0, "")
    code = os.waitstatus_to_exitcode(status)
    said = (place / ("stderr" if code else "stdout")).read_text(encoding="utf-8")
    return Ended(code, seconds, int((place / "operations").read_text() or 0), said)


def _become(place: Path, work: Callable[[], int], at: int) -> None:
    """Be the forked process: do the work and end."""
    status = 99
    try:
        os.setpgid(0, 0)
        os.chdir(place)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644), number)
        (place / "operations").write_text("0")
        counted = _count_operations(at)
        status = work()
        done = counted[0]
        (place / "modules").write_text("\n".join(sys.modules))
        sys.stdout.flush()
        (place / "operations").write_text(str(done))
    except BaseException:  # noqa: BLE001  whatever it is, this process must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(status)


def _count_operations(at: int) -> list[int]:
    """Count this process's file operations below the working folder; kill its group before number `at`."""
    counted, own = [0], os.getpid()

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in OPERATIONS or os.getpid() != own or isinstance(arguments[0], int):
            return
        if os.fsdecode(arguments[0]).startswith("/") or (event == "open" and not arguments[2] & WRITING):
            return
        if counted[0] == at:
            os.killpg(0, signal.SIGKILL)
        counted[0] += 1

    sys.addaudithook(look)
    return counted


def _import_as(place: Path) -> None:
    """Import what a process that ran in `place` has imported."""
    listed = place / "modules"
    for name in listed.read_text().split() if listed.exists() else ():
        with contextlib.suppress(Exception):
            import_module(name)


def digests(folder: Path) -> dict[str, str]:
    """Return what every file and folder holds, by its name."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name in UNCOMPARED or name.parts[0] == "tensorboard":
            continue
        raw = path.read_bytes() if path.is_file() else b""
        if path.name == "state.json":
            with contextlib.suppress(ValueError):
                raw = json.dumps({**json.loads(raw), "elapsed": 0}).encode()
        found[str(name)] = hashlib.sha256(raw).hexdigest() if path.is_file() else "folder"
    return found


@dataclass
class Tally:
    """What happened to one case."""

    seconds: float = 0.0
    operations: int = 0
    kills: int = 0
    second_kills: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    left_over: int = 0

    def figures(self) -> list[str]:
        """Return the cells of a table's row."""
        stages = [str(self.stages[stage]) for stage in STAGES]
        kills = f"{self.kills} + {self.second_kills}"
        return [
            f"{self.seconds:.1f}",
            str(self.operations),
            kills,
            *stages,
            str(len(self.faults)),
            str(self.left_over),
        ]


class Trial:
    """One case, with its inputs and its unbroken run."""

    def __init__(self, case: Case, work: Path, generator: np.random.Generator) -> None:
        self.case, self.work, self.generator = case, work, generator
        self.tally = Tally()
        work.mkdir(exist_ok=True)
        if not (work / "inputs").exists():
            if run(work, lambda: case.set_up(work / "inputs") or 0).status:
                raise SystemExit((work / "stderr").read_text())
            _import_as(work)
        self.before = digests(work / "inputs" / case.start) if case.start else {}
        place = self._fresh("unbroken")
        self.readings = [self._run(place, case.reader).said] if case.reader else []
        _import_as(place)
        for _ in range(2):  # the first one says what to import, the second one how long it takes
            place = self._fresh("unbroken")
            ended = self._run(place)
            if ended.status:
                raise SystemExit(ended.said)
            _import_as(place)
        self.tally.seconds, self.tally.operations = ended.seconds, ended.operations
        self.whole = digests(place / "out")
        if case.reader:
            self.readings.append(self._run(place, case.reader).said)

    def kill(self, number: int) -> None:
        """Kill a run, maybe its rerun too, run it to its end and compare."""
        tally, place = self.tally, self._fresh(str(number))
        while self._run(place, **self._moment(number % 2 == 0)).status is not None:
            place = self._fresh(str(number))
        tally.kills += 1
        state = digests(place / "out")
        tally.stages[self._stage(state)] += 1
        self._look(place, number)
        if number % 3 == 2 and self._run(place, **self._moment(number % 2 == 1)).status is None:
            tally.second_kills += 1
            self._look(place, number)
        ended = self._run(place)
        after = digests(place / "out")
        extra = sorted(set(after) - set(self.whole))
        tally.left_over += len(extra)
        different = sorted(name for name in self.whole if after.get(name) != self.whole[name])
        if ended.status:
            tally.faults.append(f"kill {number}: rerun: {ended.status}: {ended.said.strip()[-300:]}")
        if different or extra:
            tally.faults.append(f"kill {number}: differ {different[:6]}, left over {extra[:6]}")
        else:
            shutil.rmtree(place)

    def _fresh(self, name: str) -> Path:
        place = self.work / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if self.case.start:
            shutil.copytree(self.work / "inputs" / self.case.start, place / "out")
        return place

    def _moment(self, by_clock: bool) -> dict[str, Any]:
        if by_clock:
            return {"after": float(self.generator.uniform(EARLIEST, max(self.tally.seconds, 2 * EARLIEST)))}
        return {"at": int(self.generator.integers(self.tally.operations))}

    def _run(self, place: Path, command: str = "", **moment: Any) -> Ended:
        return run(place, lambda: audiomae_main((command or self.case.command).split()), **moment)

    def _look(self, place: Path, number: int) -> None:
        """Read the folder as it is after a kill."""
        if not self.case.reader:
            return
        ended = self._run(place, self.case.reader)
        if ended.status or ended.said not in self.readings:
            self.tally.faults.append(f"kill {number}: between kill and rerun, {ended.said.strip()[-300:]}")

    def _stage(self, state: dict[str, str]) -> str:
        if state in (self.whole, self.before):
            return STAGES[3 if state == self.whole else 0]
        return STAGES[2 if set(state) - set(self.whole) - set(self.before) else 1]


def main() -> int:
    """Kill, rerun, compare; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("verbs", nargs="*", metavar="VERB", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--kills", type=int, default=50, help="runs of each that are killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    asked = set(options.verbs or CASES)
    chosen = [name for name in CASES if asked & {name, name.split()[0]}]
    if not chosen:
        parser.error(f"no such verb; there are {', '.join(CASES)}")
    pool.CONTEXT = get_context("fork")
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            begin = time.monotonic()
            generator = np.random.default_rng([options.seed, list(CASES).index(name)])
            trial = Trial(CASES[name], Path(folder) / CASES[name].set_up.__name__, generator)
            for number in range(options.kills):
                trial.kill(number)
            faults += [f"{name}: {line}" for line in trial.tally.faults]
            rows.append((name, *trial.tally.figures()))
            print(f"{name}: done in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    header = ("verb", "s", "file operations", "kills + of reruns", *STAGES, "differences", "left over")
    print(conditions(options.seed), "", markdown(header, rows), *faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
