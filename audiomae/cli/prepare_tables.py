"""a source of listening → tables: interactions, users, tracks, and content where there is some."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from audiomae.disk.files import locked, read_json
from audiomae.errors import ConfigError, DataError
from data_prep.plays import hetrec, lastfm1k, mel_content, movielens, yambda
from data_prep.plays.simulated import listeners
from data_prep.plays.simulated.listeners import ListenerSettings
from data_prep.plays.write import TABLES_FORMAT, Listening, write_tables

__all__ = ["SOURCES", "PrepareTablesSettings", "prepare_tables"]

SOURCES: dict[str, Callable[[PrepareTablesSettings], Listening]] = {
    "hetrec": lambda config: hetrec.listening(config.inputs[1], seed=config.seed),
    "movielens": lambda config: movielens.listening(config.inputs[1]),
    "lastfm1k": lambda config: lastfm1k.listening(config.inputs[1]),
    "yambda": lambda config: yambda.listening(config.inputs[1]),
    "simulated": lambda config: listeners.listening(
        config.inputs[1], config.listeners, traits=config.traits, cache=Path(config.out) / "tempo.parquet"
    ),
    "mel_content": lambda config: mel_content.listening(config.inputs[1]),
}
"""Word of the command line → its adapter."""


@dataclass(frozen=True)
class PrepareTablesSettings:
    """Settings of `audiomae prepare-tables`.

    Attributes:
        inputs: The source (hetrec, movielens, lastfm1k, yambda: published data; simulated: listeners drawn
            over a corpus; mel_content: the baseline content of a corpus), then its file or folder.
        out: Folder to write the tables into.
        traits: For simulated: CSV or Parquet with track_id and composer, style, tempo as far as known.
        listeners: For simulated: the simulator's settings.
        seed: For hetrec: seed of the content's decomposition.
    """

    inputs: tuple[str, ...] = ()
    out: str = "tables"
    traits: str | None = None
    listeners: ListenerSettings = field(default_factory=ListenerSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no source and a path."""
        known = ", ".join(SOURCES)
        if len(self.inputs) != 2:
            raise ConfigError(
                f"prepare-tables takes a source ({known}) and a path: audiomae prepare-tables movielens "
                "ml-100k.zip --out tables/"
            )
        if self.inputs[0] not in SOURCES:
            raise ConfigError(f"source {self.inputs[0]!r} is not known; it must be one of {known}.")
        if self.traits and self.inputs[0] != "simulated":
            raise ConfigError(f"traits are for simulated listeners; leave them out for {self.inputs[0]}.")


def prepare_tables(config: PrepareTablesSettings) -> int:
    """Write the tables and print what they are.

    Raises:
        MissingError: If the source is not there.
        DataError: If it is of another layout, or the folder holds tables of another source.
        StorageError: If the disk refuses.
    """
    listening = SOURCES[config.inputs[0]](config)
    out = Path(config.out)
    with locked(out):
        if (out / "tables.json").exists():
            held = read_json(out / "tables.json", format=TABLES_FORMAT)["source"]
            if held != listening.source:
                raise DataError(
                    f"{out}: holds tables of {held}, not of {listening.source}. Name another folder with --out."
                )
        said = write_tables(out, listening)
    summary = {"tables": str(out), "source": said["source"], "simulated": said["simulated"], **said["counts"]}
    print(json.dumps(summary))
    return 0
