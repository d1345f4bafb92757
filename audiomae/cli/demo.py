"""All of it on a folder of songs, real music or generated songs, in about ten minutes."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiomae.cli.demo_listening import draw_listeners, judge_towers, recommend_songs, train_both
from audiomae.cli.prepare import show as show_prepare
from audiomae.cli.probe import show as show_probe
from audiomae.cli.reconstruct import show as show_reconstruct
from audiomae.cli.similar import show as show_similar
from audiomae.corpus.clips import split_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import read_json, write_json
from audiomae.errors import ConfigError, DataError
from audiomae.model.embedder import load
from audiomae.probing.questions import write_questions
from audiomae.training.settings import LoopSettings
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.export import ExportSettings, export
from audiomae.verbs.prepare import PrepareResult, PrepareSettings, prepare
from audiomae.verbs.pretrain import PretrainSettings, pretrain
from audiomae.verbs.probe import ProbeSettings, probe
from audiomae.verbs.reconstruct import ReconstructSettings, reconstruct
from audiomae.verbs.similar import SimilarSettings, similar

__all__ = ["DemoSettings", "demo"]

PACKAGES = ("wesnoth-1.16-music", "singularity-music", "drascula-music")
"""79 tracks, about 4 h, 230 MB to download."""

GENERATED_SONGS = 200


@dataclass(frozen=True)
class DemoSettings:
    """Settings of `audiomae demo`.

    Attributes:
        songs: Files, folders and lists of your own songs; none takes real or generated music.
        out: Folder for everything the demo makes; the same command goes on with what lies there.
        corpus: Music to take without songs: debian (free soundtracks, by apt-get), generated, or auto for debian
            where apt-get answers and generated elsewhere.
        minutes: Minutes of training.
        count: Songs to generate.
        held_out: Share of the tracks that is kept from training and judged.
        workers: Processes for preparing, 0 for one a core.
        threads: CPU threads for training, 0 for all cores.
        seed: Key of everything drawn.
    """

    songs: tuple[str, ...] = ()
    out: str = "demo"
    corpus: Literal["auto", "debian", "generated"] = "auto"
    minutes: float = 5.0
    count: int = GENERATED_SONGS
    held_out: float = 0.25
    workers: int = 0
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.minutes <= 0:
            raise ConfigError(f"minutes is {self.minutes}; it must be above 0.")


def demo(config: DemoSettings) -> int:
    """Prepare, pretrain, export, find similar songs, probe and draw; then listeners, towers, lists and their scores.

    Raises:
        AudiomaeError: Whatever a step raises; the same command goes on from there.
    """
    out = Path(config.out)
    step(1, "songs → corpus")
    if status := show_prepare(prepare_songs(config, out)):
        return status
    corpus = Corpus.open(out / "corpus")
    if len(corpus) < 4:
        raise DataError(
            f"{out / 'corpus'}: holds {len(corpus)} tracks; the demo needs at least 4. Name more songs."
        )

    step(2, f"corpus → model: {config.minutes:g} minutes of masked autoencoding")
    loop = LoopSettings(
        batch=64,
        optimizer="muon",
        threads=config.threads,
        seed=config.seed,
        evaluate_every=200,
        checkpoint_every=200,
    )
    run = str(out / "run")
    pretrain(
        PretrainSettings(
            str(corpus.folder), run, minutes=config.minutes, held_out=config.held_out, train=loop
        )
    )
    if not (out / "run" / "result.json").exists():
        return 1

    step(3, "model + corpus → vectors")
    model = load(run)
    clips = int((corpus.frames // corpus.mel.frames_of(model.hop_seconds)).sum())
    dims = max(2, min(256, clips // 4, clips - len(corpus) - 1))
    export(
        ExportSettings((run, str(corpus.folder)), str(out / "vectors"), whiten=dims, threads=config.threads)
    )
    vectors = Vectors.open(out / "vectors")

    step(4, "vectors → similar songs")
    _, held = split_corpus(corpus, model.config.clip_frames, config.held_out)
    asked = int(held[0])
    show_similar(similar(SimilarSettings(str(vectors.folder), track=corpus.track_ids[asked], k=5)))

    step(5, f"probe: what the vectors tell of {len(held)} tracks that training never heard")
    whitening = str(out / "vectors" / "whitening.safetensors")
    questions = write_questions(corpus, held, out / "clips", seconds=model.hop_seconds)
    asking = ProbeSettings(
        run, str(questions), whitening=whitening, out=str(out / "probe.json"), seed=config.seed
    )
    show_probe(probe(asking))

    step(6, "reconstruction: original, masked, rebuilt")
    song = corpus.tracks["path"][asked].as_py()
    rebuilding = ReconstructSettings(run, song, str(out / "reconstruction"), seed=config.seed)
    show_reconstruct(reconstruct(rebuilding))

    step(7, "simulated listeners: who plays what")
    draw_listeners(corpus.folder, out, config.seed)

    step(8, "vectors + plays → two towers and a ranker, and the same towers on mel statistics")
    train_both(vectors.folder, out, config.seed)

    step(9, "recommend: a listener, and somebody of whom nothing is known")
    recommend_songs(out)

    step(10, "evaluate: later plays, and tracks that nobody had played")
    cold = judge_towers(out, config.seed)
    print(
        f"\nPicture and sounds: {out / 'reconstruction'}/   scores: {out / 'probe.json'}, {out / 'evaluation.md'}"
    )
    print(cold)
    print(f"More:  audiomae similar {out / 'vectors'} --file SONG --model {run}")
    return 0


def step(number: int, what: str) -> None:
    """Say on stderr which step begins."""
    print(f"\n[{number}/10] {what}", file=sys.stderr, flush=True)


def prepare_songs(config: DemoSettings, out: Path) -> PrepareResult:
    """Prepare what the settings name, and say which it is."""
    corpus, songs = str(out / "corpus"), str(out / "songs")
    if config.songs:
        print(f"songs: yours ({', '.join(config.songs)})")
        return prepare(PrepareSettings(config.songs, corpus, workers=config.workers))
    if chosen_corpus(config, out) == "debian":
        print(f"songs: real music from Debian packages ({', '.join(PACKAGES)})")
        settings = PrepareSettings(
            PACKAGES, corpus, source="debian", songs_dir=songs, workers=config.workers, shortest_seconds=20
        )
        try:
            return note_source(out, "debian", prepare(settings))
        except DataError as error:
            if config.corpus == "debian":
                raise
            print(f"{error}\nDebian's packages cannot be had; generating songs instead.", file=sys.stderr)
    print(f"songs: {config.count} generated ones")
    made = PrepareSettings(
        (),
        corpus,
        source="generated",
        songs_dir=songs,
        count=config.count,
        seed=config.seed,
        workers=config.workers,
    )
    return note_source(out, "generated", prepare(made))


def note_source(out: Path, source: str, result: PrepareResult) -> PrepareResult:
    """Remember which music was taken, so that the same command goes on with it."""
    write_json(out / "demo.json", {"format": "audiomae-demo/1", "source": source})
    return result


def chosen_corpus(config: DemoSettings, out: Path) -> str:
    """Return debian or generated: what an earlier run took, what is asked for, or what can be had."""
    if (out / "demo.json").exists():
        return str(read_json(out / "demo.json", format="audiomae-demo/1")["source"])
    if config.corpus != "auto":
        return config.corpus
    return "debian" if shutil.which("apt-get") and shutil.which("dpkg") else "generated"
