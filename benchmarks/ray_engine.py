"""`--engine ray` beside `--engine local`: prepare and export of the same songs, in the same run.

    python benchmarks/ray_engine.py SONGS --model RUN [--songs 24] [--workers 2] [--rounds 2]

Ray runs on this machine alone, on as many CPUs as the local engine has processes, so the ratio shows what the
object store, the tasks and their workers cost; a cluster wins by having more nodes. Ray is started before the
clock, as a cluster would be; the start of its workers is in the first round, and the best round stands. The
two results are compared byte for byte.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from report import conditions, markdown

from audiomae.cluster.songs import prepare_on_ray
from audiomae.cluster.stream import join_cluster
from audiomae.corpus.build import prepare_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import Song
from audiomae.verbs.export import ExportSettings, export
from data_prep.songs.folder import songs as folder_songs

VERBS = ("prepare", "export")


def timed(work: Callable[[], object]) -> float:
    """Return how long something takes, in seconds; what it prints is left out."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        work()
    return time.perf_counter() - start


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files that are not hidden."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def work_of(
    verb: str, engine: str, songs: list[Song], place: Path, options: argparse.Namespace
) -> Callable[[], object]:
    """Return what an engine is timed at: preparing the songs, or embedding those that were prepared."""
    out = place / f"{verb}-{engine}"
    if verb == "prepare":
        on_ray = prepare_on_ray if engine == "ray" else None
        return partial(prepare_corpus, songs, out, workers=options.workers, engine=on_ray)
    settings = ExportSettings(
        (options.model, str(place / "prepare-local")),
        str(out),
        engine=engine,
        threads=1 if engine == "ray" else options.workers,
        device="cpu",
        part_clips=128,
    )
    return partial(export, settings)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("songs", nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--songs", dest="count", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.workers)
    songs = list(folder_songs([Path(name) for name in options.songs]))[: options.count]
    best: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as temporary, join_cluster(None, options.workers):
        place = Path(temporary)
        for _ in range(options.rounds):
            for engine in ("local", "ray"):
                for verb in VERBS:
                    shutil.rmtree(place / f"{verb}-{engine}", ignore_errors=True)
                    seconds = timed(work_of(verb, engine, songs, place, options))
                    best[verb, engine] = min(seconds, best.get((verb, engine), seconds))
        corpus = Corpus.open(place / "prepare-local")
        heard = float(corpus.meta["seconds"])
        same = {verb: files(place / f"{verb}-local") == files(place / f"{verb}-ray") for verb in VERBS}
    rows = [
        [
            verb,
            f"{best[verb, 'local']:.1f}",
            f"{best[verb, 'ray']:.1f}",
            f"{best[verb, 'local'] / best[verb, 'ray']:.2f}",
            "yes" if same[verb] else "no",
        ]
        for verb in VERBS
    ]
    print(f"## Ray engine: {len(corpus)} songs, {heard / 60:.1f} minutes, {options.workers} CPUs\n")
    print(conditions())
    print()
    print(markdown(["verb", "local s", "ray s", "ray speed / local", "same bytes"], rows))


if __name__ == "__main__":
    main()
