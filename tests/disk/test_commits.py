"""Several files of a folder change together, whenever the process is killed."""

import os
import subprocess
import sys

import pytest

from audiomae.disk.commits import commit_together, finish_commit, latest

NAMES = ("tracks", "vectors")
KILLED_AT_CALL = """
import os, sys
from pathlib import Path
from audiomae.disk import commits
left = int(sys.argv[2])
def counted(real):
    def call(*a, **k):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return real(*a, **k)
    return call
for name in ("mkdir", "replace", "rmdir", "write_text"):
    setattr(Path, name, counted(getattr(Path, name)))
os.fsync = counted(os.fsync)
with commits.commit_together(sys.argv[1], last="vectors") as staged:
    for name in ("tracks", "vectors"):
        (staged / name).write_text("new")
"""


def seen(folder):
    return [latest(folder, name).read_text() for name in NAMES]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_text("old")
    return tmp_path


def test_a_kill_at_any_step_leaves_all_files_old_or_all_new(folder):
    found = []
    for step in range(40):
        for name in NAMES:
            (folder / name).write_text("old")
        command = [sys.executable, "-c", KILLED_AT_CALL, str(folder), str(step)]
        status = subprocess.run(command, check=False, env=dict(os.environ)).returncode
        assert status in (0, 9)
        before = seen(folder)
        finish_commit(folder, last="vectors")
        assert seen(folder) == before == [before[0]] * 2
        assert sorted(path.name for path in folder.iterdir()) == list(NAMES)
        found.append(before[0])
        if status == 0:
            break
    assert status == 0
    assert found == sorted(found, reverse=True)  # old, old, …, new, new
    assert found[0] == "old"
    assert found.count("new") > 3  # killed after the commitment too


def write_half(folder):
    with commit_together(folder, last="vectors") as staged:
        (staged / "tracks").write_text("new")
        raise RuntimeError


def test_an_error_while_writing_leaves_the_old_files(folder):
    with pytest.raises(RuntimeError):
        write_half(folder)
    assert seen(folder) == ["old", "old"]
    assert sorted(path.name for path in folder.iterdir()) == list(NAMES)
