"""How the command ends: closed pipes, full disks, signals, and one of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.mark.parametrize("status", [0, 3])
def test_one_of_several_processes_ends_before_the_interpreter_is_torn_down(tmp_path, status):
    """There a thread of Gloo that gives a tensor back to Python would abort the process."""
    script = """
        import atexit, os, sys
        from torch import distributed
        from audiomae.cli.main import leave

        class TornDown:
            def __del__(self):
                os.abort()

        distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1)
        atexit.register(print, "atexit")
        kept = TornDown()
        print("said", end=" ")
        leave(int(sys.argv[2]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "store"), str(status)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    assert done.stdout == "said atexit\n"


def run(arguments: list[str], stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audiomae", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120)


@pytest.fixture
def plays(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user_id,track_id,timestamp\na,x,1\nb,y,2\n")
    return str(path)


SAYING = [["--help"], ["--version"], ["similar", "--help"], ["check-tables", "plays"]]
SAYING += [["check-tables", "plays", "--json"]]


@pytest.mark.parametrize("arguments", SAYING)
def test_a_closed_pipe_ends_in_silence(plays, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = run([plays if word == "plays" else word for word in arguments], writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", SAYING)
def test_a_full_disk_under_stdout_is_one_line(plays, arguments):
    with Path("/dev/full").open("w") as full:
        done = run([plays if word == "plays" else word for word in arguments], full.fileno())
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        ": stdout: cannot write (No space left on device). Free some space, or write to another place."
    )


@pytest.mark.parametrize("where", ["run_verb", "core_of"])
def test_sigterm_at_any_time_is_143_with_a_line_and_what_is_open_is_closed(where):
    script = f"""
        import os, signal, sys
        from audiomae.cli import main

        def under_way(*_):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            finally:
                print("closed")

        main.{where} = under_way
        sys.argv = ["audiomae", "similar", "v", "--track", "a"]
        main.start()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 143
    assert done.stdout == "closed\n"
    assert done.stderr == "audiomae similar: terminated; the same command goes on from here.\n"


def test_processes_forked_from_the_command_end_on_sigterm_as_any_other():
    script = """
        import os, signal
        from audiomae.cli.main import end_on_sigterm
        end_on_sigterm()
        ready, say = os.pipe()
        child = os.fork()
        if not child:
            os.write(say, b"1")
            signal.pause()
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("-15\n", "")
