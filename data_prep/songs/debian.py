"""Soundtracks in Debian packages: real, free music that `apt-get download` brings.

A package becomes `FOLDER/NAME/`, with its audio, its copyright file and nothing else. The songs in
a .zip, .pk3 or .love lie in `FILE.unz/` beside it. An Ogg file needs no ending; tracker modules and MIDI are rendered
where a player is installed (`players.py`). A package's folder appears when all of it is there.
"""

from __future__ import annotations

import logging
import lzma
import os
import re
import shutil
import stat
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from audiomae.corpus.song import Song
from audiomae.disk.files import locked
from audiomae.errors import DataError, StorageError
from audiomae.progress import SILENT, Progress
from data_prep.songs.folder import AUDIO_EXTENSIONS
from data_prep.songs.players import PLAYED, render

__all__ = ["songs"]

GAME_MUSIC = ("wesnoth-1.16-music", "warzone2100-music", "singularity-music", "drascula-music")
"""Four packages that make a good small corpus: 109 tracks, 8.0 h, 327 MB to download."""

logger = logging.getLogger(__name__)

ARCHIVES = (".zip", ".pk3", ".love")
UNZIPPED_BYTES = 8 << 30
"""Bytes that the archives of one package may unpack to."""
UNZIPPED_FILES = 50_000
"""Files that the archives of one package may hold."""
OGG = b"OggS"
NESTED = 3
"""Archives inside archives are opened to this depth."""

Fetch = Callable[[str, Path], Path]
"""Brings a package's .deb into a folder."""


def songs(
    packages: Sequence[str],
    folder: Path | str,
    *,
    fetch: Fetch | None = None,
    progress: Progress = SILENT,
) -> Iterator[Song]:
    """Download and unpack packages where that is still to do, and yield their songs.

    The track_id is the package and the path in it, with / between.

    Args:
        packages: Names of Debian packages.
        folder: Where they are unpacked; made if need be. What is there is not downloaded again.
        fetch: Brings a package's .deb into a folder; `download` by default.
        progress: Told how many packages have come.

    Raises:
        DataError: If a name is no package name, apt-get or dpkg is not there, a package is unknown or
            does not come, holds no audio, or holds an archive that is out to do harm.
        StorageError: If the disk refuses a write.
    """
    folder = Path(folder).absolute()  # apt-get and dpkg run elsewhere
    names = list(dict.fromkeys(packages))
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise DataError(
                f"package {name!r}: no name of a Debian package, which is made of a-z, 0-9, '+', '-'"
                " and '.'. Check the spelling."
            )
    if not names:
        raise DataError(f"0 packages named, at least 1 is needed. Name some, such as {GAME_MUSIC[0]}.")
    with locked(folder):
        missing = [name for name in names if not (folder / name).is_dir()]
        with progress.stage("downloading", total=len(missing), unit="packages") as stage:
            for name in missing:
                _unpack(name, folder, fetch or download)
                stage.advance()
    for name in names:
        files = list(_find(folder / name, AUDIO_EXTENSIONS))
        if not files:
            raise DataError(f"package {name!r}: no audio in it. Leave it out.")
        for path in files:
            inside = path.relative_to(folder / name).as_posix()
            yield Song(path, track_id=f"{name}/{inside}")


def download(package: str, folder: Path) -> Path:
    """Bring a package's .deb into a folder with `apt-get download`.

    Raises:
        DataError: If apt-get is not there, does not know the package, or cannot get it.
    """
    result = _run(
        ["apt-get", "download", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", package],
        folder,
    )
    debs = list(folder.glob("*.deb"))
    if result.returncode == 0 and len(debs) == 1:
        return debs[0]
    said = [line for line in result.stderr.splitlines() if line.startswith("E: ")]
    reason = (said or result.stderr.splitlines() or ["no .deb came"])[0].removeprefix("E: ")
    if "Unable to locate" in reason or "Can't select" in reason or "no installation candidate" in reason:
        raise DataError(
            f"package {package!r}: apt-get does not know it ({reason}). Run `apt-get update`"
            " first, or check the name."
        )
    raise DataError(
        f"package {package!r}: apt-get could not get it ({reason}). Check the network, run `apt-get"
        " update`, then the same command again."
    )


def _unpack(package: str, folder: Path, fetch: Fetch) -> None:
    """Make `folder/package`, all at once."""
    work = folder / f".{package}.unpacking"
    try:
        shutil.rmtree(work, ignore_errors=True)
        tree = work / "tree"
        tree.mkdir(parents=True)
        deb = fetch(package, work)
        result = _run(["dpkg", "-x", str(deb), str(tree)], work)
        if result.returncode:
            reason = (result.stderr.splitlines() or ["no reason given"])[0]
            raise DataError(
                f"package {package!r}: dpkg cannot unpack it ({reason}). Run the same command again."
            )
        deb.unlink()
        _drop_links(tree)
        unzip_audio(tree)
        render(list(_find(tree, PLAYED)))
        _keep_audio(tree)
        tree.replace(folder / package)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot unpack package {package!r} ({error.strerror or error}). Free some space"
            " or name another folder, then run the same command again."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def unzip_audio(tree: Path, *, bytes_left: int = UNZIPPED_BYTES, files_left: int = UNZIPPED_FILES) -> None:
    """Unpack the audio in every .zip, .pk3 and .love below `tree` into `FILE.unz/` beside it.

    What a damaged archive, or one with a password, does not give is passed over with a warning. The
    tree must hold no links, which could lead out of it.

    Raises:
        DataError: If a file in an archive would land outside it, or the archives hold too much.
    """
    wanted = AUDIO_EXTENSIONS | PLAYED | frozenset(ARCHIVES)
    archives = list(_find(tree, frozenset(ARCHIVES)))
    for _ in range(NESTED):
        inner: list[Path] = []
        for archive in archives:
            target = archive.with_name(f"{archive.name}.unz")
            try:
                with zipfile.ZipFile(archive) as opened:
                    members = [
                        member
                        for member in opened.infolist()
                        if not member.is_dir() and _is_wanted(opened, member, wanted)
                    ]
                    bytes_left -= sum(member.file_size for member in members)
                    files_left -= len(members)
                    if bytes_left < 0 or files_left < 0:
                        raise DataError(
                            f"{archive.name}: brings the audio in the package's archives above"
                            f" {UNZIPPED_BYTES >> 30} GiB or {UNZIPPED_FILES} files, as a zip bomb does."
                            " Leave the package out."
                        )
                    for member in members:
                        _write_member(opened, member, target)
            except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
                logger.warning("%s: damaged or locked, not all of it is unpacked (%s)", archive.name, error)
            inner += _find(target, frozenset(ARCHIVES))
        archives = inner


def _is_wanted(opened: zipfile.ZipFile, member: zipfile.ZipInfo, wanted: frozenset[str]) -> bool:
    """Return whether a file of an archive is a song or an archive, by its ending or its first bytes."""
    suffix = PurePosixPath(member.filename).suffix.lower()
    if suffix or member.flag_bits & 1:  # one with a password says nothing
        return suffix in wanted
    with opened.open(member) as file:
        return file.read(len(OGG)) == OGG


def _write_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one file of an archive below `target`; what is damaged is not left behind."""
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise DataError(
            f"{target.stem}: its file {name!r} would land outside the archive. Leave the package out."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        return
    out = target / path
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A member gives no more bytes than it declares, and those are counted.
        with opened.open(member) as source, out.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _find(tree: Path, extensions: frozenset[str]) -> Iterator[Path]:
    """Regular files with one of the extensions below a folder, in order; links are not followed.

    Where songs are looked for, an Ogg file needs no extension.
    """
    for folder, folders, names in os.walk(tree):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            if path.suffix.lower() in extensions or (extensions is AUDIO_EXTENSIONS and _is_bare_ogg(path)):
                yield path


def _is_bare_ogg(path: Path) -> bool:
    """Return whether a file without an ending is Ogg."""
    if path.suffix:
        return False
    with path.open("rb") as file:
        return file.read(len(OGG)) == OGG


def _drop_links(tree: Path) -> None:
    """Remove all symbolic links."""
    for folder, folders, names in os.walk(tree):
        for path in (Path(folder, name) for name in folders + names):
            if path.is_symlink():
                path.unlink()


def _keep_audio(tree: Path) -> None:
    """Remove all but audio and the package's copyright file."""
    kept = set(_find(tree, AUDIO_EXTENSIONS)) | set(tree.glob("usr/share/doc/*/copyright"))
    for folder, folders, names in os.walk(tree, topdown=False):
        for path in (Path(folder, name) for name in names):
            if path not in kept:
                path.unlink()
        for path in (Path(folder, name) for name in folders):
            if not any(path.iterdir()):
                path.rmdir()


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with messages in English."""
    if shutil.which(command[0]) is None:
        raise DataError(
            f"{command[0]}: not on this machine, only Debian and its kin have it. Name a folder of songs,"
            " or use generated ones."
        )
    environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
