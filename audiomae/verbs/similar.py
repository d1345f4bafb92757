"""vectors → songs like these and not like those, a path between two, a radio, or the neighbours of every song."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from audiomae.checks import require
from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from audiomae.recommend.ids import read_ids
from audiomae.similarity.collection import Collection
from audiomae.similarity.explanation import SimilarityExplanation, explain_similarity
from audiomae.similarity.neighbours import Hubness, write_neighbours
from audiomae.similarity.paths import MOST_STEPS, find_path
from audiomae.similarity.playlists import playlist_text
from audiomae.similarity.query import read_examples
from audiomae.similarity.radio import play_radio
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import rank_similar
from audiomae.vectors.similar import SimilarSong

__all__ = ["SimilarResult", "SimilarSettings", "SimilarSong", "similar"]

WRITTEN = (".json", ".m3u", ".m3u8", ".csv")
"""Endings of the files that a list is written to."""


@dataclass(frozen=True)
class SimilarSettings:
    """Settings of `audiomae similar`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        track: Song to start from: its id, its path or the end of that (one.wav, album/one.wav), or its title where
            no other has it.
        file: Audio file to start from, read as it is though it be one of the collection.
        like: Several to start from: tracks, audio files and playlists (.m3u, .m3u8, .csv), a,b,c or a JSON list.
        unlike: Songs to stay away from, named so too.
        from_: First song of a path to `to`.
        to: Last song of a path that begins at `from`.
        steps: Songs between the two ends of a path.
        radio: Whether to play a radio: songs that go on from the ones to start from, drawn by chance.
        diversity: How far afield a radio goes, from 0 to 1.
        seed: Which of the many radios.
        all: Whether to write the k nearest of every song to `out`, a Parquet file.
        why: Whether to say of each song in what it is like the first one to start from, and at which seconds.
        model: Run folder of the model that the vectors were made with, or the name of one in the package; a file needs
            it where the model is not in the package.
        k: Songs to show.
        by: Weight of each factor: '{"learned": 1, "timbre": 0.5, "rhythm": 1, "harmony": 0}'; learned alone by default.
        per_artist: Songs of one artist at most; any number by default.
        per_album: Songs of one album at most; any number by default.
        duplicates: Whether near copies of songs that are asked about or found may be shown.
        versions: Whether other versions of those may be: same title and artist, live or remastered.
        where: Tags that songs must have: '{"genre": "Rock"}'; of several values any will do.
        seconds: Shortest and longest song, in seconds: '[60, 600]'.
        tempo: Slowest and fastest song, in beats a minute: '[90, 130]'.
        key: Keys that songs may have: C,Am,F#m.
        least: Smallest cosine of a song with what is asked about.
        hubs: Whether to correct for songs that are near to everything.
        raw: Whether to take cosines of the vectors as they are, for one song; nothing else applies then but `k`.
        out: File for the songs: .json, .m3u8, .m3u or .csv; .parquet with `all`.
    """

    vectors: str
    track: str | None = None
    file: str | None = None
    like: str | tuple[str, ...] = ()
    unlike: str | tuple[str, ...] = ()
    from_: str | None = None
    to: str | None = None
    steps: int = 8
    radio: bool = False
    diversity: float = 0.3
    seed: int = 0
    all: bool = False
    why: bool = False
    model: str | None = None
    k: int = 10
    by: dict[str, float] = field(default_factory=dict)
    per_artist: int | None = None
    per_album: int | None = None
    duplicates: bool = False
    versions: bool = True
    where: dict[str, str | list[str]] = field(default_factory=dict)
    seconds: tuple[float, float] | None = None
    tempo: tuple[float, float] | None = None
    key: str | tuple[str, ...] = ()
    least: float | None = None
    hubs: bool = True
    raw: bool = False
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        path = self.from_ is not None or self.to is not None
        if sum([bool(self.names), path, self.all]) != 1:
            raise ConfigError(
                "similar starts from songs: give --track ID, --file song.flac, --like a,b,c, --from a --to b, or "
                "--all."
            )
        if path and (self.from_ is None or self.to is None):
            raise ConfigError("a path leads from one song to another: give both --from and --to.")
        if self.radio and not self.names:
            raise ConfigError("--radio goes on from songs: give --like a,b,c.")
        if self.all and self.out is None:
            raise ConfigError(
                "--all writes the neighbours of every song: name a file for them, --out near.parquet."
            )
        if self.raw and (len(self.names) != 1 or self.radio or self.by or self.unliked):
            raise ConfigError(
                "--raw compares one song as it is: give --track ID or --file song.flac and nothing else."
            )
        require("steps", self.steps, least=0, most=MOST_STEPS)
        require("diversity", self.diversity, least=0, most=1)
        ending = Path(self.out or "").suffix.lower()
        if self.out is not None and ending not in ((".parquet",) if self.all else WRITTEN):
            wanted = ".parquet" if self.all else ", ".join(WRITTEN)
            raise ConfigError(f"out is {self.out}; its ending says what is written, and must be {wanted}.")
        _ = self.rules

    @property
    def names(self) -> list[str]:
        """All that is to start from."""
        single = [name for name in (self.track, self.file) if name is not None]
        return [*single, *read_ids(self.like)]

    @property
    def unliked(self) -> list[str]:
        """All that is to stay away from."""
        return read_ids(self.unlike)

    @property
    def rules(self) -> SongRules:
        """What the list keeps to."""
        return SongRules(
            self.k,
            self.per_artist,
            self.per_album,
            self.duplicates,
            self.versions,
            self.where,
            self.seconds,
            self.tempo,
            tuple(read_ids(self.key)),
            self.least,
        )


@dataclass(frozen=True)
class SimilarResult:
    """What `similar` found.

    Attributes:
        query: What was started from, as it was named.
        name: Title and artist of it, where they are known.
        kind: What the songs are: similar, path or radio; all where the neighbours of all were written.
        similar: Songs: nearest first, or in the order in which to play them; none where `all` wrote them.
        why: In what each is like the first song to start from, where that was asked.
        hubness: Skewness of how often a song is among the k nearest, before and after the correction; with `all`.
        out: File that was written, if one was.
    """

    query: str
    name: str
    kind: Literal["similar", "path", "radio", "all"]
    similar: list[SimilarSong]
    why: list[SimilarityExplanation]
    hubness: Hubness | None
    out: str | None


def similar(settings: SimilarSettings, *, progress: Progress = SILENT) -> SimilarResult:
    """Find songs, best first, and write them where a file is named.

    Raises:
        DataError: If there is no such track, tag, tempo, key or factor.
        FingerprintError: If the vectors were made with another model than `model`.
    """
    collection = Collection.open(settings.vectors, model=settings.model)
    if settings.all:
        hubness = write_neighbours(
            collection, settings.k, settings.out or "", hubs=settings.hubs, progress=progress
        )
        return SimilarResult(settings.vectors, settings.vectors, "all", [], [], hubness, settings.out)
    result = _answer(collection, settings)
    if settings.out is not None:
        _write(result, Path(settings.out))
    return result


def _answer(collection: Collection, settings: SimilarSettings) -> SimilarResult:
    if settings.from_ is not None and settings.to is not None:
        songs = find_path(collection, settings.from_, settings.to, settings.steps, rules=settings.rules)
        named = f"{settings.from_} → {settings.to}"
        return SimilarResult(named, named, "path", songs, [], None, settings.out)
    names, query = settings.names, ", ".join(settings.names)
    files = [settings.file] if settings.file is not None else []
    tracks = [name for name in (settings.track, *read_ids(settings.like)) if name is not None]
    liked = read_examples(collection, tracks, files=files)
    called = ", ".join(liked.names)
    if settings.radio:
        songs = play_radio(
            collection,
            names,
            settings.unliked,
            k=settings.k,
            diversity=settings.diversity,
            seed=settings.seed,
            rules=settings.rules,
        )
        return SimilarResult(query, called, "radio", songs, [], None, settings.out)
    if settings.raw:
        songs = (
            collection.vectors.similar(collection.track_ids[liked.rows[0]], k=settings.k, raw=True)
            if liked.rows
            else collection.vectors.similar_to(liked.vectors[0], k=settings.k, raw=True)
        )
    else:
        unliked = read_examples(collection, settings.unliked, what="unlike")
        songs = rank_similar(
            collection, liked, unliked, rules=settings.rules, by=settings.by or None, hubs=settings.hubs
        )
    why: list[SimilarityExplanation] = []
    if settings.why:
        if not liked.rows:
            raise ConfigError("--why tells of songs of the collection; name a track instead of a file.")
        first = collection.track_ids[liked.rows[0]]
        why = [explain_similarity(collection, first, song.track_id) for song in songs]
    return SimilarResult(query, called, "similar", songs, why, None, settings.out)


def _write(result: SimilarResult, out: Path) -> None:
    """Write the songs as the file's ending says, atomically."""
    ending = out.suffix.lower()
    if ending == ".json":
        text = json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n"
    else:
        text = playlist_text(result.similar, "csv" if ending == ".csv" else "m3u8")
    with write_atomically(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
