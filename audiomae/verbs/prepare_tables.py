"""a source of plays → tables: interactions, users, tracks, and content where there is some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from audiomae.checks import close_to
from audiomae.disk.files import locked, read_json
from audiomae.errors import ConfigError, DataError
from audiomae.progress import SILENT, Progress
from data_prep.plays import hetrec, lastfm1k, mel_content, movielens, yambda
from data_prep.plays.simulated import listeners
from data_prep.plays.simulated.listeners import ListenerSettings
from data_prep.plays.write import TABLES_FORMAT, SourceTables, write_tables

__all__ = ["PrepareTablesResult", "PrepareTablesSettings", "prepare_tables"]

SOURCES: dict[str, Callable[[PrepareTablesSettings], SourceTables]] = {
    "hetrec": lambda config: hetrec.tables(config.inputs[1], seed=config.seed),
    "movielens": lambda config: movielens.tables(config.inputs[1]),
    "lastfm1k": lambda config: lastfm1k.tables(config.inputs[1]),
    "yambda": lambda config: yambda.tables(config.inputs[1]),
    "simulated": lambda config: listeners.tables(
        config.inputs[1], config.listeners, traits=config.traits, cache=Path(config.out) / "tempo.parquet"
    ),
    "mel_content": lambda config: mel_content.tables(config.inputs[1]),
}
"""What prepare-tables takes as its first word; a source is a file in `data_prep/plays/` and a line here."""


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
            hint = close_to(self.inputs[0], SOURCES, otherwise=f"It must be one of {known}.")
            raise ConfigError(f"source {self.inputs[0]!r} is not known. {hint}")
        if self.traits and self.inputs[0] != "simulated":
            raise ConfigError(f"traits are for simulated users; leave them out for {self.inputs[0]}.")


@dataclass(frozen=True)
class PrepareTablesResult:
    """What was written.

    Attributes:
        tables: Folder of the tables.
        source: Name of the source.
        simulated: Whether nobody listened.
        counts: Rows of each table: interactions, users, tracks, content, as far as the source has them; and
            content_dim, the length of a content vector.
        notes: What whoever reads a figure must know of these tables.
    """

    tables: str
    source: str
    simulated: bool
    counts: dict[str, int]
    notes: list[str]


def prepare_tables(
    settings: PrepareTablesSettings,
    *,
    progress: Progress = SILENT,  # noqa: ARG001
) -> PrepareTablesResult:
    """Write the tables.

    Raises:
        MissingError: If the source is not there.
        DataError: If it is of another layout, or the folder holds tables of another source.
        StorageError: If the disk refuses.
    """
    plays = SOURCES[settings.inputs[0]](settings)
    out = Path(settings.out)
    with locked(out):
        if (out / "tables.json").exists():
            held = read_json(out / "tables.json", format=TABLES_FORMAT)["source"]
            if held != plays.source:
                raise DataError(
                    f"{out}: holds tables of {held}, not of {plays.source}. Name another folder with --out."
                )
        said = write_tables(out, plays)
    return PrepareTablesResult(settings.out, said["source"], said["simulated"], said["counts"], said["notes"])
