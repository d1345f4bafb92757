"""Score a model's clip vectors on labelled clips, beside mel statistics, the untrained encoder and stored peers.

    python benchmarks/quality.py RUN CORPUS BENCH [--dims 512] [--soft_dims 2048] [--hop_seconds 15] [--seed 0]
                                 [--pool POOL]

BENCH holds labels.csv, the clips it names, score.py (whose `score` gives the figures) and peers.npz. Whitenings
are fitted on CORPUS, the training corpus, never on the judged clips; mel statistics and the untrained encoder get
the same treatment as the model; peers, of whom only the clips of BENCH are at hand, have theirs fitted on the music
clips there that are not judged. Prints a markdown table, and a second one with how far the model, as its vectors come,
is ahead of each peer: 95 % intervals from drawing tracks, the same for both.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.corpus.clips import clip_starts, read_clips
from audiomae.corpus.corpus import Corpus
from audiomae.model.embedder import Embedder, load, untrained
from audiomae.model.pooling import Pool
from audiomae.model.whitening import Whitening
from audiomae.probing.judge import ProbeRules, judge
from audiomae.probing.labels import read_tasks
from audiomae.probing.vectors import mel_statistics, vectors_of_files
from audiomae.vectors.embed import embed_tracks

Vectors = NDArray[np.float32]

RESAMPLES = 2000


def load_scorer(bench: Path) -> ModuleType:
    """Import BENCH/score.py, which looks at the command line."""
    arguments, sys.argv = sys.argv, ["score.py"]
    try:
        spec = importlib.util.spec_from_file_location("score", bench / "score.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.argv = arguments
    return module


def corpus_statistics(corpus: Corpus, clip_frames: int, hop_frames: int) -> Iterator[Vectors]:
    """Yield the mel statistics of each track's clips."""
    for track in range(len(corpus)):
        starts = clip_starts(int(corpus.frames[track]), clip_frames, hop_frames)
        clips = read_clips(
            corpus, np.full(len(starts), track), starts, min(clip_frames, int(corpus.frames[track]))
        )
        yield mel_statistics(clips.astype(np.float32))


def corpus_vectors(embedder: Embedder, corpus: Corpus, hop_frames: int) -> list[Vectors]:
    """Return the vectors of each track's clips."""
    tracks = embed_tracks(embedder, corpus, range(len(corpus)), hop_frames=hop_frames, batch=64)
    return [track.vectors for track in tracks]


def unjudged(where: dict[str, int], judged: list[str], vectors: Vectors) -> list[Vectors]:
    """Return a peer's vectors of the music clips that are not judged, those of each track together.

    Args:
        where: Row of each clip, by its name, such as t0060_0.ogg for a clip of track t0060.
        judged: Names of the judged clips.
        vectors: The peer's, (rows, values).
    """
    left = sorted(set(where) - {Path(name).name for name in judged})
    tracks: dict[str, list[int]] = {}
    for name in left:
        if re.fullmatch(r"t\d+_\d+\.ogg", name):
            tracks.setdefault(name.split("_")[0], []).append(where[name])
    return [vectors[rows].astype(np.float32) for rows in tracks.values()]


def print_leads(bench: Path, where: dict[str, list[str]], vectors: dict[str, Vectors], seed: int) -> None:
    """Print how far the model is ahead of each peer, as `audiomae probe` finds it.

    Args:
        bench: Folder of the labels.
        where: Values that their columns may have, which leave the judged rows.
        vectors: The model's under `model`, and each peer's, a row for each clip of music_track.
        seed: Key of the draws.
    """
    asked = ["music_track", "music_composer", "music_source"]
    tasks = sorted(read_tasks(bench / "labels.csv", asked, where), key=lambda task: asked.index(task.name))
    row_of = {path: row for row, path in enumerate(tasks[0].paths)}
    rules = ProbeRules(bootstrap=RESAMPLES, seed=seed)
    leads: dict[str, list[str]] = {name: [] for name in vectors if name != "model"}
    for task in tasks:
        rows = [row_of[path] for path in task.paths]
        judged = judge(task, {name: values[rows] for name, values in vectors.items()}, rules)
        for name, cells in leads.items():
            found = [one for measure, one in judged.model_above[name].items() if measure != "knn"]
            cells += ["{score:+.3f} [{low:+.3f}, {high:+.3f}]".format(**one._asdict()) for one in found]
    print("\n| model, ahead of | track | track, whitened | composer | source |\n|---|---|---|---|---|")
    for name, cells in leads.items():
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


class Table:
    """A Markdown table of scores, printed row by row.

    Args:
        scorer: BENCH/score.py.
        names: The judged clips.
        dims: Dimensions of the whitenings.
        soft_dims: Dimensions of the soft whitening.
    """

    def __init__(self, scorer: ModuleType, names: list[str], dims: int, soft_dims: int) -> None:
        self.scorer, self.names, self.dims, self.soft_dims = scorer, names, dims, soft_dims
        print("| vectors | track | track, whitened | composer | source |\n|---|---|---|---|---|")

    def row(self, name: str, vectors: Vectors) -> None:
        """Score the vectors of the judged clips."""
        found = self.scorer.score(self.names, vectors)
        cells = " | ".join(f"{found[key]:.3f}" for key in ("track", "track_white", "composer", "source"))
        print(f"| {name} ({vectors.shape[1]}) | {cells} |", flush=True)

    def rows(self, name: str, judged: Vectors, fitted_on: list[Vectors]) -> None:
        """Score them as they come, and under each whitening."""
        self.row(name, judged)
        dims = min(self.dims, judged.shape[1])
        self.row(f"{name}, PCA-whitened", Whitening.fit(fitted_on, dims, at_most=True).transform(judged))
        self.row(f"{name}, whitened within tracks", Whitening.fit_within(fitted_on, dims).transform(judged))
        soft = Whitening.fit_soft(fitted_on, min(self.soft_dims, judged.shape[1]), at_most=True)
        self.row(f"{name}, whitened softly within tracks", soft.transform(judged))

    def peers(self, path: Path) -> dict[str, Vectors]:
        """Score stored peers, and return their vectors of the judged clips."""
        found = {}
        with np.load(path) as peers:
            where = {Path(str(path)).name: place for place, path in enumerate(peers["path"])}
            order = [where[Path(name).name] for name in self.names]
            for name in sorted(set(peers.files) - {"path"}):
                vectors = peers[name]
                self.row(name, vectors[order])
                fitted = Whitening.fit_soft(unjudged(where, self.names, vectors), self.dims, at_most=True)
                self.row(f"{name}, whitened softly within tracks", fitted.transform(vectors[order]))
                found[name] = vectors[order].astype(np.float32)
        return found


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "corpus", "bench"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--dims", type=int, default=512, help="dimensions of the whitenings")
    parser.add_argument("--soft_dims", type=int, default=2048, help="dimensions of the soft whitening")
    parser.add_argument(
        "--hop_seconds", type=float, default=15.0, help="grid of the clips they are fitted on"
    )
    parser.add_argument("--pool", choices=get_args(Pool), help="another pooling than the model recommends")
    parser.add_argument("--seed", type=int, default=0, help="seed of the untrained encoder")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> int:
    """Score and print."""
    options = read_options()
    scorer, corpus = load_scorer(options.bench), Corpus.open(options.corpus)
    names = [row["path"] for row in scorer.ROWS if row["task"] == "music_track"]
    trained = load(options.run).with_pooling(pool=options.pool)
    embedders = {"model": trained}
    if options.baselines:
        embedders["untrained encoder"] = untrained(trained, seed=options.seed)
    judged = vectors_of_files([options.bench / name for name in names], embedders)
    hop = corpus.mel.frames_of(options.hop_seconds)
    print(
        f"torch {torch.__version__}, {platform.machine()}, {len(names)} clips, model {trained.fingerprint}, layer "
        f"{trained.layer}, {trained.pool}; whitenings fitted on {corpus.fingerprint}, a clip every "
        f"{options.hop_seconds:g} s, seed {options.seed}\n"
    )
    table = Table(scorer, names, options.dims, options.soft_dims)
    if options.baselines:
        statistics = list(corpus_statistics(corpus, trained.config.clip_frames, hop))
        table.rows("mel statistics", judged["mel statistics"], statistics)
    for name in reversed(embedders):
        table.rows(name, judged[name], corpus_vectors(embedders[name], corpus, hop))
    if options.baselines:
        others = table.peers(options.bench / "peers.npz")
        unseen = {"source": sorted(scorer.UNSEEN)}
        print_leads(options.bench, unseen, {"model": judged["model"], **others}, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
