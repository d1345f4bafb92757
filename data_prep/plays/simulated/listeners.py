"""Simulated listeners over real or generated music. Nobody listened; figures from them say so.

The simulator never sees a log-mel or a vector: tastes are over composers, styles and tempo alone, so an
encoder helps only as far as it hears these. What is drawn, in order:

tracks     Popularity is Zipf-like, weight 1 / rank ** zipf, over ranks drawn at random: it has nothing to do
           with composer, style or sound. A share `new_tracks` is released at a uniform moment of the
           simulated time, the others before it.
styles     Each has a typical age of its listeners (18 to 60) and a leaning of gender; each composer has a
           home country.
listeners  Each likes 1 to 2 styles and 1 to 3 composers, drawn in proportion to the square root of their
           tracks, and tempi around that of a random track, a quarter of an octave wide.
taste      exp(composer_gain · [composer liked] + style_gain · [style liked] + tempo_gain · closeness of tempo).
plays      A listener's number of plays is log-normal with the mean `mean_plays`. A share `repeats` of them
           goes to tracks already played. The different tracks are drawn without replacement: a share `noise`
           by popularity alone, the others by popularity × taste × the share of the listener's time in which the
           track was out. The time of a play is uniform between the later of release and joining, and the
           end; a repeat comes later than the first play. played_ratio is higher for what was chosen by taste.
fields     age follows the first style's typical age, gender its leaning, country the first composer's home in
           half of the cases, favorite_category is the first style in 8 of 10 cases and else a random one;
           account_age_days is up to ten years at the end of the simulated time: whoever joined within it
           plays from then on. A share `missing` of the cells of each field is empty.

In tracks.parquet `artist` is the composer and `genre` the style that tastes were over; `tempo` and
`released` stand beside them. The same seed, settings and traits give the same tables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.checks import require_all
from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError, DataError
from data_prep.plays.simulated.traits import names_known, read_traits
from data_prep.plays.write import SourceTables

__all__ = ["ListenerSettings", "tables"]

DAY = 86_400
COUNTRIES = ("AT", "BR", "DE", "FR", "JP", "NL", "PL", "US")
GENDERS = ("female", "male", "other")
BLOCK_CELLS = 1 << 23
TEMPO_WIDTH_OCTAVES = 0.25


@dataclass(frozen=True)
class ListenerSettings:
    """Settings of the simulator.

    Attributes:
        listeners: Listeners.
        mean_plays: Plays of a listener, on average.
        days: Length of the simulated time, in days.
        start: First day of it, such as 2024-01-01.
        composer_gain: Weight of a liked composer in taste.
        style_gain: Weight of a liked style.
        tempo_gain: Weight of a liked tempo.
        zipf: Exponent of the popularity; 0 for tracks that are all alike.
        noise: Share of the different tracks that is chosen by popularity alone.
        repeats: Share of the plays that goes to tracks already played.
        new_tracks: Share of the tracks that is released within the simulated time.
        folders: Whether a folder's name stands for a composer or style that neither tags nor traits say.
        missing: Share of the cells of the listeners' fields that is empty.
        seed: Seed of all draws.
    """

    listeners: int = 2000
    mean_plays: float = 60.0
    days: int = 365
    start: str = "2024-01-01"
    composer_gain: float = 2.5
    style_gain: float = 1.5
    tempo_gain: float = 1.0
    zipf: float = 0.6
    noise: float = 0.1
    repeats: float = 0.3
    new_tracks: float = 0.3
    folders: bool = False
    missing: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "listeners", "mean_plays", "days", least=1)
        require_all(self, "noise", "repeats", "new_tracks", "missing", least=0, most=1)
        try:
            datetime.fromisoformat(self.start)
        except ValueError:
            raise ConfigError(f"start is {self.start!r}; it must be a day such as 2024-01-01.") from None


def tables(
    corpus_folder: Path | str,
    settings: ListenerSettings | None = None,
    *,
    traits: Path | str | None = None,
    cache: Path | str | None = None,
) -> SourceTables:
    """Simulate listeners over the tracks of a corpus.

    Args:
        corpus_folder: Corpus.
        settings: The simulator's settings.
        traits: CSV or Parquet with track_id and composer, style, tempo as far as known.
        cache: Parquet file that keeps estimated tempi.

    Raises:
        MissingError: If the corpus or the traits are not there.
        DataError: If they do not fit together, or there are fewer than two tracks.
    """
    settings = settings or ListenerSettings()
    corpus = Corpus.open(corpus_folder)
    if len(corpus) < 2:
        raise DataError(f"{corpus_folder}: {len(corpus)} tracks; listeners need 2 or more to choose from.")
    plays, users, tracks = simulate(read_traits(corpus, traits, cache, folders=settings.folders), settings)
    return SourceTables(
        "simulated listeners",
        [plays],
        tracks=lambda: tracks,
        users=lambda: users,
        notes=(
            "SIMULATED: nobody listened. Tastes are over composers, styles and tempo; popularity is apart.",
            "artist is the composer and genre the style that tastes were over: of a table of traits, else of the tags"
            + (", else the name of a folder." if settings.folders else "; empty where neither says them."),
        ),
        settings={"corpus": corpus.fingerprint, "traits": str(traits or ""), **asdict(settings)},
        simulated=True,
    )


def simulate(traits: pa.Table, settings: ListenerSettings) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return interactions, users and tracks.

    Args:
        traits: track_id, title, composer, style, tempo (beats a minute); two tracks or more.
        settings: The simulator's settings.
    """
    world = _World(traits, settings)
    tastes = _Tastes(world, settings)
    size = max(1, BLOCK_CELLS // len(world.popularity))
    blocks = [
        _play_block(world, tastes, settings, slice(first, first + size))
        for first in range(0, settings.listeners, size)
    ]
    users, tracks, times, ratios = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    order = np.lexsort((tracks, users, times))
    ids = pa.array([f"listener-{number:06d}" for number in range(settings.listeners)])
    plays = pa.table(
        {
            "user_id": ids.take(pa.array(users[order])),
            "track_id": traits["track_id"].combine_chunks().take(pa.array(tracks[order])),
            "timestamp": times[order],
            "event": ["play"] * len(order),
            "played_ratio": ratios[order].astype(np.float32),
        }
    )
    told = {
        "track_id": traits["track_id"],
        "title": traits["title"],
        "artist": names_known(traits["composer"]),
        "album": [""] * traits.num_rows,
        "genre": names_known(traits["style"]),
        "tempo": traits["tempo"],
        "released": world.released,
    }
    return plays, _fields(world, tastes, settings, ids), pa.table(told)


class _World:
    """Tracks, their popularity and release, and what composers and styles are associated with."""

    def __init__(self, traits: pa.Table, settings: ListenerSettings) -> None:
        draw = np.random.default_rng([settings.seed, 0])
        count = traits.num_rows
        self.begin = int(datetime.fromisoformat(f"{settings.start[:10]}T00:00:00+00:00").timestamp())
        self.end = self.begin + settings.days * DAY
        self.composers, self.composer = _code(traits["composer"])
        self.styles, self.style = _code(traits["style"])
        self.log_tempo = np.log2(traits["tempo"].to_numpy().astype(np.float64))
        self.popularity = 1.0 / (1 + draw.permutation(count)) ** settings.zipf
        moments = draw.integers(self.begin, self.end, count)
        earlier = self.begin - draw.integers(1, 5 * 365 * DAY, count)
        self.released = np.where(draw.random(count) < settings.new_tracks, moments, earlier)
        self.style_age = draw.uniform(18, 60, len(self.styles))
        self.style_lean = draw.dirichlet((2.0, 2.0, 0.3), len(self.styles))
        self.composer_home = draw.integers(0, len(COUNTRIES), len(self.composers))


class _Tastes:
    """What each listener likes, and when he joined."""

    def __init__(self, world: _World, settings: ListenerSettings) -> None:
        draw = np.random.default_rng([settings.seed, 1])
        count = settings.listeners
        self.styles, self.liked_styles = _draw_liked(draw, world.style, len(world.styles), count, 2)
        self.composers, self.liked_composers = _draw_liked(
            draw, world.composer, len(world.composers), count, 3
        )
        self.log_tempo = world.log_tempo[draw.integers(0, len(world.log_tempo), count)]
        self.account_days = draw.integers(1, 3651, count)
        self.joined = np.maximum(world.begin, world.end - self.account_days * DAY)
        spread = 0.7
        self.plays = np.maximum(
            1, np.exp(draw.normal(np.log(settings.mean_plays) - spread**2 / 2, spread, count)).round()
        ).astype(np.int64)


def _play_block(
    world: _World, tastes: _Tastes, settings: ListenerSettings, rows: slice
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Users, tracks, times and played ratios of some listeners' plays."""
    draw = np.random.default_rng([settings.seed, 2, rows.start])
    joined, tempo = tastes.joined[rows][:, None], tastes.log_tempo[rows][:, None]
    closeness = np.exp(-0.5 * ((world.log_tempo - tempo) / TEMPO_WIDTH_OCTAVES) ** 2)
    taste = (
        settings.composer_gain * tastes.liked_composers[rows][:, world.composer]
        + settings.style_gain * tastes.liked_styles[rows][:, world.style]
        + settings.tempo_gain * closeness
    )
    since = np.maximum(joined, world.released)
    with np.errstate(divide="ignore"):
        out = np.log(world.popularity) + np.log((world.end - since) / (world.end - joined))
    users, tracks = taste.shape
    plays = tastes.plays[rows]
    different = np.minimum(np.maximum(1, plays - draw.binomial(plays, settings.repeats)), max(1, tracks // 2))
    by_noise = draw.binomial(different, settings.noise)
    chosen = _first(out + taste + draw.gumbel(size=taste.shape), different - by_noise)
    noisy = _first(np.where(chosen, -np.inf, out + draw.gumbel(size=taste.shape)), by_noise)
    user, track = np.nonzero(chosen | noisy)
    liked = chosen[user, track]
    first = since[user, track] + (draw.random(len(user)) * (world.end - since[user, track])).astype(np.int64)
    counts = np.bincount(user, minlength=users)
    again = np.repeat(np.arange(users), np.maximum(0, plays - counts))
    starts = np.cumsum(counts) - counts
    which = starts[again] + (draw.random(len(again)) * counts[again]).astype(np.int64)
    later = first[which] + (draw.random(len(again)) * (world.end - first[which])).astype(np.int64)
    picked = np.concatenate([np.arange(len(user)), which])
    ratio = np.where(liked[picked], draw.beta(5, 1, len(picked)), draw.beta(1, 1.5, len(picked)))
    times = np.concatenate([first, later])
    return user[picked] + rows.start, track[picked], times, ratio


def _first(scores: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for the `counts` highest scores of each row."""
    order = np.argsort(-scores, axis=1, kind="stable")
    taken = np.arange(scores.shape[1]) < counts[:, None]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, order, taken, axis=1)
    return chosen & np.isfinite(scores)


def _draw_liked(
    draw: np.random.Generator, codes: NDArray[np.int64], kinds: int, count: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first liked kind of each listener, and all liked ones, (listeners, kinds)."""
    weights = np.sqrt(np.bincount(codes, minlength=kinds))
    scores = np.log(weights) + draw.gumbel(size=(count, kinds))
    return scores.argmax(axis=1), _first(scores, draw.integers(1, most + 1, count))


def _fields(world: _World, tastes: _Tastes, settings: ListenerSettings, ids: pa.Array) -> pa.Table:
    draw = np.random.default_rng([settings.seed, 3])
    count = settings.listeners
    ages = np.clip(world.style_age[tastes.styles] + draw.normal(0, 8, count), 13, 80).round().astype(np.int32)
    lean = world.style_lean[tastes.styles].cumsum(axis=1)
    gender = np.minimum((draw.random(count)[:, None] > lean).sum(axis=1), len(GENDERS) - 1)
    home = world.composer_home[tastes.composers]
    country = np.where(draw.random(count) < 0.5, home, draw.integers(0, len(COUNTRIES), count))
    other = draw.integers(0, len(world.styles), count)
    favorite = np.where(draw.random(count) < 0.8, tastes.styles, other)

    def cells(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind, mask=draw.random(count) < settings.missing)

    return pa.table(
        {
            "user_id": ids,
            "age": cells(ages, pa.int32()),
            "account_age_days": cells(tastes.account_days.astype(np.int32), pa.int32()),
            "country": cells(np.array(COUNTRIES, object)[country], pa.string()),
            "gender": cells(np.array(GENDERS, object)[gender], pa.string()),
            "favorite_category": cells(np.array(world.styles, object)[favorite], pa.string()),
        }
    )


def _code(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Sorted names and each row's place among them."""
    values = column.to_pylist()
    names = sorted(set(values))
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[value] for value in values], dtype=np.int64)
