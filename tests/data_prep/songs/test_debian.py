"""Soundtracks in Debian packages: real .deb files, made here."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.errors import DataError
from data_prep.songs import debian

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")

GAME = "usr/share/games/game"


def ogg():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(800, np.float32), 16_000, format="OGG")
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def deb(folder, name, files):
    """A package that holds `files`, path → bytes, or → text for a link."""
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: d\n"
    )
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (tree / path).symlink_to(content)
        else:
            (tree / path).write_bytes(content)
    out = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", "-Zgzip", str(tree), str(out)], check=True, capture_output=True)
    return out


@pytest.fixture
def mirror(tmp_path):
    """A fetch that copies packages from a folder, and notes which."""
    fetched = []

    def fetch(package, folder):
        fetched.append(package)
        return Path(shutil.copy(tmp_path / f"{package}_1_all.deb", folder))

    fetch.fetched = fetched
    return fetch


@needs_dpkg
def test_songs_come_from_the_tree_and_from_archives_in_it_and_the_rest_goes(tmp_path, mirror):
    inner = zipped(**{"deep/d.ogg": ogg(), "readme.txt": b"x"})
    deb(
        tmp_path,
        "game-music",
        {
            f"{GAME}/a.ogg": ogg(),
            f"{GAME}/picture.png": b"x",
            f"{GAME}/link.ogg": "a.ogg",
            f"{GAME}/music.pk3": zipped(**{"music/c.OGG": ogg(), "maps/m.bsp": b"x", "inner.zip": inner}),
            f"{GAME}/songs.zip": zipped(**{"b.ogg": ogg()}),
            "usr/share/doc/game-music/copyright": b"free",
            "usr/share/doc/game-music/changelog": b"x",
        },
    )
    found = list(debian.songs(["game-music"], tmp_path / "out", fetch=mirror))
    assert [song.track_id for song in found] == [
        f"game-music/{GAME}/a.ogg",
        f"game-music/{GAME}/music.pk3.unz/inner.zip.unz/deep/d.ogg",
        f"game-music/{GAME}/music.pk3.unz/music/c.OGG",
        f"game-music/{GAME}/songs.zip.unz/b.ogg",
    ]
    assert all(soundfile.info(song.path).frames == 800 for song in found)
    files = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file() or path.is_symlink())
    assert files == [".lock", "a.ogg", "b.ogg", "c.OGG", "copyright", "d.ogg"]


@needs_dpkg
def test_ogg_without_an_ending_and_love_archives_are_found(tmp_path, mirror):
    files = {f"{GAME}/music": ogg(), f"{GAME}/binary": b"x" * 99}
    files[f"{GAME}/game.love"] = zipped(**{"sounds/theme": ogg(), "main.lua": b"x", "data": b"y"})
    deb(tmp_path, "game-love", files)
    found = [song.track_id for song in debian.songs(["game-love"], tmp_path / "out", fetch=mirror)]
    assert found == [f"game-love/{GAME}/music", f"game-love/{GAME}/game.love.unz/sounds/theme"]


@needs_dpkg
def test_a_package_that_is_there_is_not_fetched_again(tmp_path, mirror):
    deb(tmp_path, "one", {f"{GAME}/a.ogg": ogg()})
    deb(tmp_path, "two", {f"{GAME}/b.ogg": ogg()})
    list(debian.songs(["one"], tmp_path / "out", fetch=mirror))
    found = list(debian.songs(["two", "one", "two"], tmp_path / "out", fetch=mirror))
    assert mirror.fetched == ["one", "two"]
    assert [song.path.name for song in found] == ["b.ogg", "a.ogg"]


@needs_dpkg
def test_a_run_that_was_killed_leaves_nothing_that_passes_for_a_package(tmp_path, mirror):
    deb(tmp_path, "one", {f"{GAME}/a.ogg": ogg()})
    half = tmp_path / "out/.one.unpacking/tree"
    half.mkdir(parents=True)
    (half / "half.ogg").write_bytes(b"x")
    assert [song.path.name for song in debian.songs(["one"], tmp_path / "out", fetch=mirror)] == ["a.ogg"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "one"]


@needs_dpkg
@pytest.mark.parametrize(
    "name", ["../../evil.ogg", "/tmp/evil.ogg", "a/../../evil.ogg", "..\\evil.ogg", "C:/e.ogg"]
)
def test_an_archive_that_reaches_out_of_its_folder_is_refused(tmp_path, mirror, name):
    deb(tmp_path, "bad", {f"{GAME}/a.ogg": ogg(), f"{GAME}/x.zip": zipped(**{name: ogg()})})
    with pytest.raises(DataError, match=r"x\.zip: its file .* would land outside the archive\. Leave"):
        list(debian.songs(["bad"], tmp_path / "out", fetch=mirror))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert not list(tmp_path.glob("**/evil.ogg"))


@needs_dpkg
def test_a_link_where_an_archive_unpacks_leads_nowhere(tmp_path, mirror):
    outside = tmp_path / "outside"
    outside.mkdir()
    deb(tmp_path, "bad", {f"{GAME}/x.zip": zipped(**{"a.ogg": ogg()}), f"{GAME}/x.zip.unz": str(outside)})
    assert len(list(debian.songs(["bad"], tmp_path / "out", fetch=mirror))) == 1
    assert not list(outside.iterdir())


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path):
    (tmp_path / "bomb.zip").write_bytes(zipped(**{"a.wav": bytes(1_000_000), "b.wav": bytes(1_000_000)}))
    with pytest.raises(DataError, match=r"bomb\.zip: .* as a zip bomb does\. Leave the package out\."):
        debian.unzip_audio(tmp_path, bytes_left=1_999_999)
    with pytest.raises(DataError, match="zip bomb"):
        debian.unzip_audio(tmp_path, files_left=1)
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.zip"]
    debian.unzip_audio(tmp_path, bytes_left=2_000_000)
    assert (tmp_path / "bomb.zip.unz/b.wav").stat().st_size == 1_000_000


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path, caplog):
    raw = zipped(**{"a.wav": bytes(1_000_000)})
    assert raw.count(struct.pack("<L", 1_000_000)) == 2
    (tmp_path / "liar.zip").write_bytes(raw.replace(struct.pack("<L", 1_000_000), struct.pack("<L", 1000)))
    debian.unzip_audio(tmp_path, bytes_left=1000)
    assert "liar.zip: damaged or locked" in caplog.text
    assert not list(tmp_path.rglob("*.wav"))


def test_a_damaged_archive_is_passed_over_with_a_warning(tmp_path, caplog):
    (tmp_path / "a.pk3").write_bytes(b"no zip")
    (tmp_path / "b.zip").write_bytes(zipped(**{"b.ogg": ogg()}))
    debian.unzip_audio(tmp_path)
    assert "a.pk3: damaged or locked" in caplog.text
    assert [path.name for path in tmp_path.rglob("*.ogg")] == ["b.ogg"]


def test_archives_in_archives_are_opened_to_a_limit(tmp_path):
    nest = zipped(**{"5.ogg": ogg()})
    for depth in (4, 3, 2):
        nest = zipped(**{f"{depth}.ogg": ogg(), f"{depth}.zip": nest})
    (tmp_path / "1.zip").write_bytes(nest)
    debian.unzip_audio(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.ogg")) == ["2.ogg", "3.ogg", "4.ogg"]


@needs_dpkg
def test_a_package_without_audio_is_named(tmp_path, mirror):
    deb(tmp_path, "dry", {f"{GAME}/a.mid": b"x"})
    with pytest.raises(DataError, match=r"package 'dry': no audio in it\. Leave it out\."):
        list(debian.songs(["dry"], tmp_path / "out", fetch=mirror))


@needs_dpkg
def test_a_package_cut_short_is_refused_and_leaves_nothing(tmp_path, mirror):
    path = deb(tmp_path, "cut", {f"{GAME}/a.ogg": ogg()})
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        DataError, match=r"package 'cut': dpkg cannot unpack it \(.+\)\. Run the same command"
    ):
        list(debian.songs(["cut"], tmp_path / "out", fetch=mirror))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["-oDir::Bin=x", "../x", "Game", "a", "", "a b", "x=1", "x\n"])
def test_what_is_no_package_name_never_reaches_apt(tmp_path, mirror, name):
    with pytest.raises(DataError, match=r"no name of a Debian package"):
        list(debian.songs([name], tmp_path / "out", fetch=mirror))
    assert mirror.fetched == []


def test_no_package_is_refused(tmp_path):
    with pytest.raises(DataError, match="0 packages named, at least 1 is needed"):
        list(debian.songs([], tmp_path))


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Put a stand-in for apt-get on an otherwise empty PATH."""

    def install(script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "apt-get").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return install


def test_apt_get_is_asked_for_one_package_in_the_folder(tmp_path, apt):
    apt('for last; do :; done; echo "$1 $last $LC_ALL" > "${last}_1_all.deb"')
    path = debian.download("game-music", tmp_path)
    assert path == tmp_path / "game-music_1_all.deb"
    assert path.read_text() == "download game-music C.UTF-8\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("E: Unable to locate package x-y", r"apt-get does not know it .*Run `apt-get update` first"),
        ("E: Can't select candidate version from package x-y as it has no candidate", "does not know it"),
        (
            "W: hm\\nE: Failed to fetch http://a  Temporary failure",
            r"could not get it \(Failed to .*Check the net",
        ),
        ("", r"could not get it \(no \.deb came\)"),
    ],
)
def test_what_apt_get_says_is_passed_on(tmp_path, apt, said, message):
    apt(f'printf "{said}" >&2; exit 100')
    with pytest.raises(DataError, match=message) as raised:
        debian.download("x-y", tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("apt")
def test_a_machine_without_apt_get_is_told_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"apt-get: not on this machine.* Name a folder of songs, or use gen"):
        list(debian.songs(["game-music"], tmp_path / "out"))


@needs_dpkg
def test_a_folder_named_from_here_works_though_dpkg_runs_elsewhere(tmp_path, mirror, monkeypatch):
    deb(tmp_path, "one", {f"{GAME}/a.ogg": ogg()})
    monkeypatch.chdir(tmp_path)
    found = list(debian.songs(["one"], "songs", fetch=mirror))
    assert [song.path for song in found] == [tmp_path / "songs" / "one" / GAME / "a.ogg"]
