"""Files: whole or not at all, named by nobody else, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from audiomae.disk.files import inside, locked, read_json, sweep
from audiomae.errors import DataError, MissingError


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ('{"a": 1e999}', "1e999 is not a number that can be used"),
        ('{"a": NaN}', "NaN is not a number that can be used"),
        ('{"a": -Infinity}', "-Infinity is not a number that can be used"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ("{", "Expecting property name"),
        ("\ud800".encode("utf-8", "surrogatepass"), "invalid"),
    ],
)
def test_json_that_is_damaged_or_hostile_is_one_line(tmp_path, text, reason):
    path = tmp_path / "corpus.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MissingError, match=reason) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "corpus.json")
    with pytest.raises(MissingError, match=r"corpus\.json: is not a file\."):
        read_json(tmp_path / "corpus.json")


@pytest.mark.parametrize("name", ["../x.npy", "/etc/passwd", "mels/../../x.npy", "", 7, None, ["a"]])
def test_a_name_of_another_kind_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"names a file .*, which no such folder holds\. Take another copy\."):
        inside(tmp_path, name, r"[a-z./]*\.npy")


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_is_not(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "out.npy").touch()
    (folder / "own.npy").touch()
    (folder / "a.npy").symlink_to(tmp_path / "out.npy")
    (folder / "b.npy").symlink_to(folder / "own.npy")
    with pytest.raises(DataError, match=r"a\.npy: is a link that leads out of "):
        inside(folder, "a.npy", r"[a-z]+\.npy")
    assert inside(folder, "b.npy", r"[a-z]+\.npy") == folder / "b.npy"


def test_temporaries_of_a_killed_run_go_and_those_of_a_running_one_stay(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    there = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for folder in (tmp_path, tmp_path / "mels", tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        (folder / f".a.npy.{gone.pid}.tmp").touch()
        (folder / f".a.npy.{there.pid}.tmp").touch()
        (folder / ".note.tmp").touch()
    (tmp_path / "other" / ".lock").touch()  # a folder with a lock of its own is swept when that is taken
    with locked(tmp_path):
        pass
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob(f".a.npy.{gone.pid}.tmp")}
    assert left == {f"other/.a.npy.{gone.pid}.tmp"}
    assert len(list(tmp_path.rglob(f".a.npy.{there.pid}.tmp"))) == 3
    assert len(list(tmp_path.rglob(".note.tmp"))) == 3
    assert sweep(tmp_path / "other") == 1
    there.communicate(b"\n")
