"""Songs in folders."""

from __future__ import annotations

import os
import subprocess

import pytest

from audiomae.errors import MissingError
from data_prep.songs import folder


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(root, *paths):
    return [song.path.relative_to(root).as_posix() for song in folder.songs(paths or [root])]


def test_audio_is_found_below_a_folder_in_the_order_of_names(tmp_path):
    touch(tmp_path, "b.mp3", "a/z.FLAC", "a/ä ö/日本.opus", "a/cover.jpg", "notes.txt", "c.m4a")
    assert names(tmp_path) == ["a/z.FLAC", "a/ä ö/日本.opus", "b.mp3", "c.m4a"]


def test_a_name_that_is_no_unicode_is_found(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.ogg"
    with open(path, "wb"):  # noqa: PTH123 - pathlib takes no bytes
        pass
    assert [os.fsencode(song.path) for song in folder.songs([tmp_path])] == [path]


def test_a_file_named_by_itself_is_taken_whatever_its_ending(tmp_path):
    touch(tmp_path, "song.bin")
    assert names(tmp_path, tmp_path / "song.bin") == ["song.bin"]


def test_a_file_named_twice_is_yielded_once(tmp_path):
    touch(tmp_path, "a/1.wav", "a/2.wav")
    assert names(tmp_path, tmp_path / "a/2.wav", tmp_path, tmp_path / "a") == ["a/2.wav", "a/1.wav"]


def test_a_link_to_a_folder_is_followed_and_a_circle_ends(tmp_path):
    touch(tmp_path, "elsewhere/1.wav", "here/2.wav")
    (tmp_path / "here/away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here/round").symlink_to(tmp_path / "here")
    assert names(tmp_path, tmp_path / "here") == ["here/2.wav", "here/away/1.wav"]


def test_what_macos_leaves_beside_a_song_is_no_song_but_a_name_may_start_with_dots(tmp_path):
    touch(tmp_path, "._1.mp3", "...Like Clockwork/1.mp3")
    assert names(tmp_path) == ["...Like Clockwork/1.mp3"]


def test_an_empty_folder_with_a_songs_name_is_handed_over_to_be_rejected(tmp_path):
    touch(tmp_path, "a.wav", "live.wav/b.wav")
    (tmp_path / "x.wav").mkdir()
    assert names(tmp_path) == ["a.wav", "live.wav/b.wav", "x.wav"]


def test_a_folder_that_cannot_be_listed_is_handed_over_to_be_rejected(tmp_path, monkeypatch):
    touch(tmp_path, "a.wav", "locked/b.wav")
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert names(tmp_path) == ["a.wav", "locked"]


def test_a_link_that_leads_nowhere_is_handed_over_to_be_rejected(tmp_path):
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "nothing")
    assert names(tmp_path) == ["gone.mp3"]
    assert names(tmp_path, tmp_path / "gone.mp3") == ["gone.mp3"]


def test_a_path_that_is_not_there_is_refused_before_any_song(tmp_path):
    with pytest.raises(MissingError, match=r"nowhere: no such file or folder\. Check the spelling\."):
        next(folder.songs([tmp_path / "nowhere"]))


def test_folders_without_audio_are_refused(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(MissingError, match=r"no audio found; .* Name a folder that holds some\."):
        list(folder.songs([tmp_path]))


def test_every_ending_that_is_read_is_searched_for(tmp_path):
    wanted = "mkv mka dsf ac3 amr spx webm wv tta ape aiff caf au m4a wma opus oga mp2 voc w64 mpc 3gp mov"
    endings = wanted.split()
    touch(tmp_path, *(f"a.{ending}" for ending in endings))
    assert sorted(names(tmp_path)) == sorted(f"a.{ending}" for ending in endings)


def test_what_is_passed_over_is_counted_by_ending_and_said_once(tmp_path, caplog):
    touch(tmp_path, "a.mp3", "b/cover.jpg", "b/1.mid", "b/2.MID", "c/x.sid")
    assert names(tmp_path) == ["a.mp3"]
    assert caplog.messages == ["passed over by their endings, as no audio that is read here: 2 .mid, 1 .sid"]


def test_hidden_folders_and_trash_are_left_out_and_said_once(tmp_path, caplog):
    trash = [".Trash-1000", ".AppleDouble", "@eaDir", "$RECYCLE.BIN", ".git"]
    touch(tmp_path, "a.mp3", "...And Justice/b.mp3", *(f"{name}/deep/x.mp3" for name in trash))
    assert names(tmp_path) == ["...And Justice/b.mp3", "a.mp3"]
    (said,) = caplog.messages
    assert said.startswith("left out, hidden or trash: ")
    assert said.endswith("and 2 more; name such a folder itself to take it")
    assert names(tmp_path, tmp_path / ".Trash-1000") == [".Trash-1000/deep/x.mp3"]


def test_a_link_to_itself_and_a_tree_deeper_than_pythons_stack_do_not_end_the_search(tmp_path):
    touch(tmp_path, "a.mp3", "z.mp3")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "round.mp3").symlink_to("round.mp3")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_100):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("deep.mp3", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    found = names(tmp_path)
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil.rmtree, and so pytest, gives up on it
    assert [found[0], *found[-2:]] == ["a.mp3", "round.mp3", "z.mp3"]
    assert found[1].endswith("/d/deep.mp3")
    assert found[1].count("/") == 1_100
