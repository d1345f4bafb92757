"""Files of a published data set, in a folder or still in its zip, wheel or tar archive."""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from audiomae.errors import DataError, MissingError

__all__ = ["has_file", "open_file"]


@contextlib.contextmanager
def open_file(root: Path | str, *names: str) -> Iterator[IO[bytes]]:
    """Open the first file below `root` that has one of the names, wherever in it that lies.

    Args:
        root: Folder, .zip or .whl file, or .tar, .tar.gz, .tgz file, which is read as a stream.
        names: Names of the file, without folders.

    Raises:
        MissingError: If the root or the file is not there.
        DataError: If the archive is damaged.
    """
    root = Path(root)
    missing = f"{root}: no {' or '.join(names)} in it. Name the data set's own folder or archive."
    with contextlib.ExitStack() as stack:
        opened: IO[bytes] | None = None
        try:
            if root.is_dir():
                found = sorted(path for name in names for path in root.rglob(name) if path.is_file())
                opened = stack.enter_context(found[0].open("rb")) if found else None
            elif not root.exists():
                raise MissingError(f"{root}: no such file or folder. Check the spelling.")
            elif zipfile.is_zipfile(root):
                archive = stack.enter_context(zipfile.ZipFile(root))
                inside = [member for member in archive.namelist() if member.rsplit("/", 1)[-1] in names]
                opened = stack.enter_context(archive.open(inside[0])) if inside else None
            else:
                tar = stack.enter_context(tarfile.open(root, "r:*"))
                for member in tar:
                    if member.isfile() and member.name.rsplit("/", 1)[-1] in names:
                        opened = tar.extractfile(member)
                        break
        except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise DataError(
                f"{root}: neither a folder nor a readable zip or tar ({error}). Fetch it again."
            ) from error
        if opened is None:
            raise MissingError(missing)
        yield opened


def has_file(root: Path | str, *names: str) -> bool:
    """Whether `open_file` would find one."""
    try:
        with open_file(root, *names):
            return True
    except MissingError:
        return False
