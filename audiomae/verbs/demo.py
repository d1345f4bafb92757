"""All of it on a folder of songs, real music or generated songs, and one page to look at and to listen to."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from audiomae.checks import require
from audiomae.corpus.corpus import Corpus
from audiomae.demo_page.cards import LIST, NEW_LIST, card_of_judgement, cards_of_evaluation
from audiomae.demo_page.contents import PageContents, PageList, PageRebuilt, ScoreCard
from audiomae.demo_page.gather import gather_songs
from audiomae.demo_page.listener import list_for_listener
from audiomae.demo_page.music import PACKAGES, choose_source, remember_source
from audiomae.demo_page.plan import (
    LEAST_FOR_LISTENERS,
    LEAST_TO_TRAIN,
    Split,
    estimate_seconds,
    plan_towers,
    plan_training,
    split_songs,
)
from audiomae.demo_page.renewal import train_or_renew, was_trained_on
from audiomae.demo_page.sounds import encode_file
from audiomae.demo_page.steps import StepClock
from audiomae.demo_page.words import (
    GENERATED,
    TRAINED_BEFORE,
    commands_to_try,
    describe_making,
    describe_songs,
    duration,
)
from audiomae.demo_page.write import write_page
from audiomae.errors import DataError, FingerprintError
from audiomae.model.embedder import Embedder, load
from audiomae.model.overrides import ModelOverrides
from audiomae.pretraining.augmentation import AugmentSettings
from audiomae.pretraining.settings import PairSettings
from audiomae.probing.collection import PlacedClips, clips_of_tracks, judge_collection, vectors_of_clips
from audiomae.progress import SILENT, Progress
from audiomae.recommend.serving.recommender import Recommender
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.evaluate import EvaluateSettings, evaluate
from audiomae.verbs.export import ExportSettings, export
from audiomae.verbs.prepare import PrepareSettings, prepare
from audiomae.verbs.prepare_tables import PrepareTablesSettings, prepare_tables
from audiomae.verbs.pretrain import PretrainSettings, pretrain
from audiomae.verbs.reconstruct import ReconstructSettings, reconstruct
from audiomae.verbs.train_ranker import TrainRankerSettings, train_ranker
from audiomae.verbs.train_towers import TrainTowersSettings, train_towers

__all__ = ["DemoResult", "DemoSettings", "demo"]

logger = logging.getLogger(__name__)

LEAST_SONGS, LEAST_LISTENERS = 4, 500
JUDGED_TRACKS, JUDGED_CLIPS = 100, 6
"""Tracks that are judged at most, and clips of each."""
NAMES = {"trained": "ours, trained on these songs", "box": "ours, as in the box"}


@dataclass(frozen=True)
class DemoSettings:
    """Settings of `audiomae demo`.

    Attributes:
        songs: Files, folders and lists of your own songs; none takes real or generated music.
        out: Folder for all the demo makes; the same command goes on there, and trains anew what fits no longer.
        corpus: Music to take without songs: debian (free soundtracks, by apt-get), generated, or auto for debian
            where apt-get answers and generated elsewhere.
        model: Model to begin with: one in the package, or a run folder.
        minutes: Minutes that it trains on for the songs; 0 uses it as it is, and so do fewer than 20 songs.
        count: Songs to generate.
        listeners: Simulated listeners, 500 at least: the towers need some thousand plays.
        workers: Processes for preparing, 0 for one a core.
        threads: CPU threads for training, 0 for all cores.
        seed: Key of everything drawn.
    """

    songs: tuple[str, ...] = ()
    out: str = "demo"
    corpus: Literal["auto", "debian", "generated"] = "auto"
    model: str = "tiny"
    minutes: float = 2.0
    count: int = 120
    listeners: int = 1000
    workers: int = 0
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("minutes", self.minutes, least=0)
        require("count", self.count, least=LEAST_SONGS)
        require("listeners", self.listeners, least=LEAST_LISTENERS)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and found.

    Attributes:
        page: The page to open in a browser.
        contents: All that it shows; None where the training was stopped.
        model: The model that made the vectors: a name or a run folder.
        vectors: Vectors folder.
        trained_on: Songs that the model was trained on for; 0 where it was used as it is.
        steps: Steps of that training.
        seconds: Seconds that each step took.
        announced_seconds: What all steps after preparing were said to take.
        stopped_by: Number of the signal that stopped the training; the same settings go on from there.
    """

    page: str
    contents: PageContents | None = None
    model: str = ""
    vectors: str = ""
    trained_on: int = 0
    steps: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    announced_seconds: float = 0.0
    stopped_by: int | None = None


def demo(settings: DemoSettings, *, progress: Progress = SILENT) -> DemoResult:
    """Prepare, train on, export, judge, rebuild; then listeners, towers and lists; and write the page.

    Raises:
        DataError: If there are fewer than 4 songs.
        AudiomaeError: Whatever a step raises; the same settings go on from there.
    """
    out, clock, page = Path(settings.out), StepClock(), str(Path(settings.out) / "index.html")
    with clock.step("preparing"):
        music, notes = _prepare(settings, out, progress)
        corpus = Corpus.open(out / "corpus")
    if len(corpus) < LEAST_SONGS:
        raise DataError(
            f"{corpus.folder}: holds {len(corpus)} songs; the demo needs at least {LEAST_SONGS}. Name more songs."
        )
    split, first = split_songs(corpus.track_ids, trains=settings.minutes > 0), load(settings.model)
    clips = clips_of_tracks(corpus, split.held[:JUDGED_TRACKS], first.config.clip_frames, JUDGED_CLIPS)
    announced = _announce(settings, corpus, first, split, len(clips.tracks))
    model, steps = settings.model, 0
    if split.trains:
        with clock.step("training"):
            training = _training(settings, first, corpus, split.share)
            done = train_or_renew(out / "run", partial(pretrain, training, progress=progress))
        if not done.finished:
            return DemoResult(page, stopped_by=done.stopped_by)
        model, steps = done.run, done.steps
    elif settings.minutes > 0:
        notes += (
            f"{len(corpus)} songs are too few to train on: it takes {LEAST_TO_TRAIN}. The model is used as it is.",
        )
    with clock.step("vectors"):
        vectors = _embed(settings, model, corpus, out / "vectors", progress)
    with clock.step("judging"):
        models = {"trained": load(model), "box": first} if split.trains else {"box": first}
        cards = _judge(corpus, clips, models, settings.seed, progress)
    with clock.step("rebuilding"):
        query = int(split.held[0])
        rebuilt = _rebuild(model, corpus, query, out / "reconstruction", settings.seed)
    with clock.step("listeners"):
        listed, more, stopped = _listen(settings, corpus, vectors, out, progress)
    if stopped is not None:
        return DemoResult(page, stopped_by=stopped)
    with clock.step("page"):
        named = (query, *(listed.places if listed else ()))
        songs = gather_songs(corpus, vectors, split.heard, named, out / "sounds", settings.seed, progress)
    heard = len(split.heard)
    made = describe_making(settings.model, heard, steps, settings.minutes, clock.seconds, settings.seed)
    song, user = corpus.tracks["path"][query].as_py(), listed.user if listed else None
    commands = commands_to_try(out, yours=bool(settings.songs), model=model, song=song, user=user)
    summary = describe_songs(songs, music)
    contents = PageContents(summary, notes, songs, query, rebuilt, listed, (*cards, *more), commands, made)
    write_page(contents, page)
    return DemoResult(page, contents, model, str(vectors.folder), heard, steps, clock.seconds, announced)


def _prepare(settings: DemoSettings, out: Path, progress: Progress) -> tuple[str, tuple[str, ...]]:
    """Prepare the songs that the settings name; return what music it is, and what a reader should know of it."""
    corpus, kept = str(out / "corpus"), str(out / "songs")
    base = PrepareSettings((), corpus, songs_dir=kept, workers=settings.workers, seed=settings.seed)
    if settings.songs:
        prepare(replace(base, songs=settings.songs), progress=progress)
        return f"your music from {', '.join(settings.songs)}", ()
    source = choose_source(out, settings.corpus)
    if source == "debian":
        try:
            wanted = replace(base, songs=PACKAGES, source="debian", shortest_seconds=20)
            prepare(wanted, progress=progress)
        except DataError as error:
            if settings.corpus == "debian" or (out / "demo.json").exists():
                raise
            logger.warning("%s Debian's packages cannot be had; generating songs instead.", error)
            source = "generated"
    if source == "generated":
        prepare(replace(base, source="generated", count=settings.count), progress=progress)
    remember_source(out, source)
    if source == "debian":
        notes = (TRAINED_BEFORE,) * (settings.model == "tiny")
        return f"real music from the Debian packages {', '.join(PACKAGES)}", notes
    return "short pieces that a program composed, in ten styles", (GENERATED,)


def _announce(settings: DemoSettings, corpus: Corpus, first: Embedder, split: Split, clips: int) -> float:
    """Say how long all that follows will take, and return it in seconds."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    trains = split.trains and not was_trained_on(Path(settings.out) / "run", corpus.fingerprint)
    announced = estimate_seconds(corpus, first, settings.minutes * trains, clips * (1 + split.trains))
    logger.info("%d songs are ready; the rest takes about %s", len(corpus), duration(announced))
    return announced


def _embed(settings: DemoSettings, model: str, corpus: Corpus, out: Path, progress: Progress) -> Vectors:
    wanted = ExportSettings((model, str(corpus.folder)), str(out), threads=settings.threads)
    try:
        export(wanted, progress=progress)
    except FingerprintError:  # those there are of another model, or of fewer songs
        export(replace(wanted, overwrite=True), progress=progress)
    return Vectors.open(out)


def _training(settings: DemoSettings, first: Embedder, corpus: Corpus, share: float) -> PretrainSettings:
    """Return how the model is trained on: as the one in the box was, for a short time and at a lower rate."""
    return PretrainSettings(
        str(corpus.folder),
        str(Path(settings.out) / "run"),
        minutes=settings.minutes,
        model=ModelOverrides(**dataclasses.asdict(first.config)),
        ratio=0.75,
        pairs=PairSettings(weight=1.0),
        augment=AugmentSettings(mix=0.4),
        held_out=share,
        layer=first.layer,
        pool=first.pool,
        init=settings.model,
        train=plan_training(settings.threads, settings.seed),
    )


def _judge(
    corpus: Corpus, clips: PlacedClips, models: dict[str, Embedder], seed: int, progress: Progress
) -> list[ScoreCard]:
    with progress.stage("judging", total=len(clips.tracks), unit="clips") as stage:
        values = vectors_of_clips(corpus, clips, models, on_clips=stage.advance)
    return [card_of_judgement(one, NAMES) for one in judge_collection(corpus, clips, values, seed=seed)]


def _rebuild(model: str, corpus: Corpus, track: int, out: Path, seed: int) -> PageRebuilt:
    done = reconstruct(ReconstructSettings(model, corpus.tracks["path"][track].as_py(), str(out), seed=seed))
    original, masked, rebuilt = map(str, map(encode_file, (done.original, done.masked, done.rebuilt)))
    pictures, sounds = tuple(map(str, done.pictures)), (original, masked, rebuilt)
    return PageRebuilt(track, done.start_seconds, done.error_db, done.masked_share, pictures, sounds)


def _listen(
    settings: DemoSettings, corpus: Corpus, vectors: Vectors, out: Path, progress: Progress
) -> tuple[PageList | None, list[ScoreCard], int | None]:
    """Simulate listeners, train towers on our vectors and on mel statistics, and judge their lists.

    Returns:
        A list, two scores, and the signal that stopped a training, if one did.
    """
    songs, tables, mel = len(corpus), out / "tables", out / "mel_statistics"
    if songs < LEAST_FOR_LISTENERS:
        return None, cards_of_evaluation({}, "", "", songs=songs, new_songs=0), None
    plan = plan_towers(songs, tables, listeners=settings.listeners, seed=settings.seed)
    for source, folder in (("simulated", tables), ("mel_content", mel)):
        wanted = PrepareTablesSettings((source, str(corpus.folder)), str(folder), listeners=plan.listeners)
        prepare_tables(wanted, progress=progress)
    ours, theirs = out / "recommender", out / "mel_recommender"
    for content, folder in ((vectors.folder, ours), (mel / "content.parquet", theirs)):
        training = TrainTowersSettings(str(content), plan.tables, plan.split, out=str(folder))
        done = train_or_renew(folder, partial(train_towers, training, progress=progress))
        if done.stopped_by is not None:
            return None, [], done.stopped_by
    train_ranker(TrainRankerSettings(str(ours)), progress=progress)
    judging = EvaluateSettings(
        (str(ours),),
        beside=(str(theirs),),
        baselines=("random", "popularity"),
        tune=False,
        ks=(NEW_LIST, LIST),
        out=str(out / "evaluation.json"),
        seed=settings.seed,
    )
    parts = evaluate(judging, progress=progress).parts
    listed = list_for_listener(Recommender.open(ours), tables, corpus.track_ids)
    cards = cards_of_evaluation(parts, "towers", theirs.name, songs=songs, new_songs=plan.new_songs)
    return listed, cards, None
