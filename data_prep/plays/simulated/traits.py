"""Traits of tracks that simulated listeners have tastes in: composer, style and tempo."""

from __future__ import annotations

import logging
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.disk.files import write_atomically
from audiomae.errors import DataError
from audiomae.listening.tables import read_keyed

__all__ = ["names_known", "read_traits"]

LOG = logging.getLogger(f"audiomae.{__name__}")

UNKNOWN = "unknown"
"""Composer and style of a track that nothing is known of."""

HEARD_SECONDS = 60
SLOWEST, USUAL, FASTEST = 30.0, 120.0, 300.0


def read_traits(
    corpus: Corpus,
    given: Path | str | None = None,
    cache: Path | str | None = None,
    *,
    folders: bool = False,
) -> pa.Table:
    """Return the traits of each track of a corpus, in its order.

    Args:
        corpus: Corpus with tags.
        given: CSV or Parquet with track_id and composer, style, tempo (beats a minute) as far as known. What
            it leaves open is filled in: composer by the tag artist, else the album; style by the tag genre; tempo by
            estimation.
        cache: Parquet file that keeps estimated tempi.
        folders: Whether the name of a folder stands for a composer or style that no tag says: the first folder of the
            track_id, else the one the file lies in. One logged line counts the tracks.

    Returns:
        track_id, title, composer, style, tempo; composer and style are `UNKNOWN` where nothing says them.

    Raises:
        MissingError: If `given` is not there.
        DataError: If it names no track of the corpus, or a tempo is out of range.
    """
    known: dict[str, dict[str, Any]] = {}
    if given is not None:
        table = read_keyed(given, "track_id", ("composer", "style"))
        columns = [name for name in ("composer", "style", "tempo") if name in table.column_names]
        known = {row["track_id"]: row for row in table.select(["track_id", *columns]).to_pylist()}
        if not known.keys() & set(corpus.track_ids):
            first = corpus.track_ids[0] if corpus.track_ids else "none"
            raise DataError(
                f"{given}: none of its {len(known)} tracks is in the corpus, whose first is {first!r}."
            )
    rows = corpus.tracks.select(["track_id", "path", *TAGS, "content"]).to_pylist()
    tempi = _tempi(corpus, known, Path(cache) if cache else None)
    from_folder = nothing = 0
    made: dict[str, list[Any]] = {name: [] for name in ("track_id", "title", "composer", "style", "tempo")}
    for row, tempo in zip(rows, tempi, strict=True):
        told = known.get(row["track_id"], {})
        outer = _folder_of(row) if folders else ""
        composer = told.get("composer") or row["artist"] or row["album"]
        style = told.get("style") or row["genre"]
        from_folder += bool(outer) and not (composer and style)
        nothing += not (composer and style) and not outer
        made["track_id"].append(row["track_id"])
        made["title"].append(row["title"] or PurePath(row["path"]).stem)
        made["composer"].append(composer or outer or UNKNOWN)
        made["style"].append(style or outer or UNKNOWN)
        made["tempo"].append(tempo)
    _tell(from_folder, nothing, len(rows))
    return pa.table(made)


def names_known(column: pa.ChunkedArray) -> list[str]:
    """Return composers or styles, empty where unknown: tracks without an artist are not all of one."""
    return ["" if name == UNKNOWN else name for name in column.to_pylist()]


def _tell(from_folder: int, nothing: int, tracks: int) -> None:
    if from_folder:
        LOG.info("%d of %d tracks: the folder's name stands for a composer or style.", from_folder, tracks)
    if nothing:
        LOG.info(
            "%d of %d tracks have no tag for composer or style, which stay unknown; name them in a table of traits, or "
            "take folders for them (--listeners.folders).",
            nothing,
            tracks,
        )


def _folder_of(row: dict[str, Any]) -> str:
    """Return the first folder of a track_id, else the one that the file lies in."""
    folders = PurePath(row["track_id"]).parts
    return folders[0] if len(folders) > 1 else PurePath(row["path"]).parent.name


def estimate_tempo(corpus: Corpus, track: int) -> float:
    """Estimate a track's tempo in beats a minute from the middle minute of its log-mels.

    The strongest repetition of the rise in loudness over all bands, with a preference for tempi near
    120 beats a minute: what librosa.feature.tempo does, over the whole minute at once.

    Source: Ellis 2007, "Beat tracking by dynamic programming".
    """
    minute = corpus.mel.frames_of(60.0)
    frames = min(int(corpus.frames[track]), corpus.mel.frames_of(HEARD_SECONDS))
    first = (int(corpus.frames[track]) - frames) // 2
    rise = np.diff(corpus.mels(track, first, frames).astype(np.float32), axis=0)
    envelope = np.maximum(rise, 0).mean(axis=1)
    lags = np.arange(int(minute / FASTEST), max(2, min(int(minute / SLOWEST), frames // 2)))
    if len(lags) < 2 or not envelope.any():
        return USUAL
    envelope = envelope - envelope.mean()
    spectrum = np.fft.rfft(envelope, 2 * len(envelope))
    repeats = np.fft.irfft(np.abs(spectrum) ** 2)[: len(envelope)] / np.arange(len(envelope), 0, -1)
    tempi = minute / lags
    preference = np.exp(-0.5 * np.log2(tempi / USUAL) ** 2)
    return float(tempi[int(np.argmax(np.maximum(repeats[lags], 0) * preference))])


def _tempi(corpus: Corpus, known: dict[str, dict[str, Any]], cache: Path | None) -> list[float]:
    contents = corpus.tracks["content"].to_pylist()
    kept: dict[str, float] = {}
    if cache is not None and cache.is_file():
        table = pq.ParquetFile(cache).read()
        kept = dict(zip(table["content"].to_pylist(), table["tempo"].to_pylist(), strict=True))
    tempi, before = [], len(kept)
    for track, name in enumerate(corpus.track_ids):
        told = known.get(name, {}).get("tempo")
        if told is not None:
            try:
                tempo = float(told)
            except ValueError:
                tempo = 0.0
            if not SLOWEST <= tempo <= FASTEST:
                raise DataError(
                    f"track {name!r}: tempo is {told}; it must be from {SLOWEST:g} to {FASTEST:g} beats a minute."
                )
        elif contents[track] in kept:
            tempo = kept[contents[track]]
        else:
            tempo = kept[contents[track]] = estimate_tempo(corpus, track)
        tempi.append(tempo)
    if cache is not None and len(kept) > before:
        with write_atomically(cache) as temporary:
            pq.write_table(pa.table({"content": list(kept), "tempo": list(kept.values())}), temporary)
    return tempi
