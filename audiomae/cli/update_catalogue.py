"""recommender + vectors → songs added to its live catalogue, given new vectors, or taken out; nothing is trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from audiomae.cli.recommend import read_ids
from audiomae.errors import ConfigError
from audiomae.listening.content import Content
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.changes import add_tracks, remove_tracks, replace_tracks
from audiomae.recommend.towers.model import TowerModel

__all__ = ["UpdateCatalogueSettings", "update_catalogue"]


@dataclass(frozen=True)
class UpdateCatalogueSettings:
    """Settings of `audiomae update-catalogue`.

    Attributes:
        recommender: Folder made by `audiomae train-towers`.
        add: Vectors of songs that are new: a folder made by `audiomae export`, or Parquet with track_id and vector.
        replace: Vectors of songs that are there, to take the place of theirs.
        remove: Track ids of songs to take out: a,b,c or, where an id holds a comma, a JSON list.
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


def update_catalogue(config: UpdateCatalogueSettings) -> int:
    """Change the catalogue; whoever reads it meanwhile sees the old one or the new one.

    Raises:
        DataError: If a track to add is there, one to replace or remove is not, or a vector is not finite.
        FingerprintError: If the vectors are of another encoder.
    """
    folder = Path(config.recommender)
    place = folder / "catalogue"
    before = len(Catalogue.open(place))
    if config.remove:
        after = remove_tracks(place, read_ids(config.remove))
    else:
        model = TowerModel.load(folder / "towers")
        content = Content.open(config.add or config.replace or "")
        after = (add_tracks if config.add is not None else replace_tracks)(place, content, model)
    about = {
        "catalogue": str(place),
        "version": after.meta["version"],
        "before": before,
        "tracks": len(after),
    }
    print(json.dumps(about))
    return 0
