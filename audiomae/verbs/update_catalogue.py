"""recommender + vectors → songs added to its live catalogue, given new vectors, or taken out; nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass

from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from audiomae.recommend.serving.updates import CatalogueUpdate, update_folder

__all__ = ["UpdateCatalogueSettings", "update_catalogue"]


@dataclass(frozen=True)
class UpdateCatalogueSettings:
    """Settings of `audiomae update-catalogue`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        add: Vectors of songs that are new: a folder made by `audiomae export`, or Parquet with track_id and vector.
            Songs that are there with the same vectors are left as they are.
        replace: Vectors of songs that are there, to take the place of theirs.
        remove: Songs to take out: ids, ends of paths (one.wav) or titles, a,b,c or, where one holds a comma, a JSON
            list.
    """

    recommender: str
    add: str | None = None
    replace: str | None = None
    remove: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        if sum([self.add is not None, self.replace is not None, bool(self.remove)]) != 1:
            raise ConfigError(
                "update-catalogue does one thing at a time: give --add vectors/, --replace vectors/ or "
                "--remove TRACK,TRACK."
            )


def update_catalogue(
    settings: UpdateCatalogueSettings,
    *,
    progress: Progress = SILENT,  # noqa: ARG001
) -> CatalogueUpdate:
    """Change the catalogue; whoever reads it meanwhile sees the old one or the new one.

    Raises:
        DataError: If a track to add is there with another vector, one to replace or remove is not, or a vector is not
            finite.
        FingerprintError: If the vectors are of another encoder.
    """
    return update_folder(
        settings.recommender, add=settings.add, replace=settings.replace, remove=settings.remove
    )
