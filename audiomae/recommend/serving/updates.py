"""Songs that come to a recommender's live catalogue, get new vectors, or leave it; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiomae.errors import ConfigError
from audiomae.listening.content import Content
from audiomae.recommend.catalogue.changes import add_tracks, remove_tracks, replace_tracks
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.ids import read_ids

__all__ = ["CatalogueUpdate", "update_folder"]


@dataclass(frozen=True)
class CatalogueUpdate:
    """What became of a live catalogue.

    Attributes:
        catalogue: Where it lies.
        version: The version that readers see now.
        before: Songs before.
        tracks: Songs now.
        changed: Songs added, replaced or removed.
        there: Songs to add that were there already, with the same vectors.
        gone: Songs to remove that the last change has removed already.
    """

    catalogue: str
    version: str
    before: int
    tracks: int
    changed: int
    there: int
    gone: int = 0


def update_folder(
    folder: Path | str,
    *,
    add: Content | Path | str | None = None,
    replace: Content | Path | str | None = None,
    remove: str | Sequence[str] = (),
) -> CatalogueUpdate:
    """Change a live catalogue; whoever reads it meanwhile sees the old one or the new one.

    Args:
        folder: The recommender.
        add: Songs that are new: a folder made by `audiomae export`, or Parquet with track_id and vector. Those that
            are there with the same vectors are left as they are, so the same call may be made again.
        replace: Songs that are there, with new vectors and tags.
        remove: Songs to take out, by id, path or the end of one, or title; the last such call may be made again.

    Raises:
        ConfigError: Unless exactly one of the three is given.
        DataError: If a track to add is there with other vectors, one to replace or remove is not, or a vector is not
            finite.
        FingerprintError: If the vectors are of another encoder.
    """
    if sum([add is not None, replace is not None, bool(remove)]) != 1:
        raise ConfigError(
            "update-catalogue does one thing at a time: give --add vectors/, --replace vectors/ or "
            "--remove TRACK,TRACK."
        )
    place = RecommenderFolder(Path(folder))
    place.read_meta()
    if add is not None:
        done = add_tracks(place.catalogue, _content_of(add), place.open_towers())
    elif replace is not None:
        done = replace_tracks(place.catalogue, _content_of(replace), place.open_towers())
    else:
        done = remove_tracks(place.catalogue, read_ids(remove))
    after = done.after
    return CatalogueUpdate(str(place.catalogue), after.meta["version"], done.before, len(after), *done[2:])


def _content_of(vectors: Content | Path | str) -> Content:
    return vectors if isinstance(vectors, Content) else Content.open(vectors)
