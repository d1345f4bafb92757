"""How well `audiomae similar` finds songs of one composer or source from a few examples, beside simpler queries.

    python benchmarks/similar_quality.py BENCH [--model tiny] [--examples 3] [--draws 20] [--seed 0]

BENCH holds labels.csv and the clips it names. A song is the mean of its clips' vectors. For each class with enough songs,
`draws` times, that many examples are drawn, and of the ten nearest other songs with a label those of the class are
counted. Queries: the mean of standardised vectors; that in the softly whitened space; with hubs corrected (what `similar`
does); and with entries weighted by the examples' own spread (shrunk towards no weights). 95 % intervals of the difference
to the first from drawing the classes' draws anew. A second table has the skewness of how often a song is among the ten
nearest of others.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import audiomae
from audiomae.similarity.neighbours import skewness_of
from audiomae.vectors.search import Standardiser, unit_rows
from audiomae.vectors.space import SearchSpace

Array = NDArray[np.float64]
TASKS = ("music_composer", "music_source")
K = 10


def songs_of(bench: Path, model: str) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Return the tracks' names and the means of their clips' vectors."""
    table = pd.read_csv(bench / "labels.csv")
    clips = table[table.task == "music_track"].drop_duplicates("path")
    vectors = audiomae.load(model).embed_files([bench / path for path in clips.path])
    owners = clips.track.to_numpy().astype(str)
    names = np.unique(owners)
    return names, np.stack([vectors[owners == name].mean(axis=0) for name in names]).astype(np.float32)


def labels_of(bench: Path, task: str, names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the label of each track, empty where it has none."""
    table = pd.read_csv(bench / "labels.csv")
    of = table[table.task == task].drop_duplicates("track").set_index("track").label
    return np.array([str(of.get(name, "")) for name in names])


def queries_of(vectors: NDArray[np.float32]) -> dict[str, object]:
    """Return the ways to ask: examples' rows → a score a song."""
    plain, space = Standardiser.fit(vectors)(vectors), SearchSpace.fit(vectors)
    spread = space.units.var(axis=0)

    def weighted(rows: NDArray[np.int64]) -> Array:
        count, strength = len(rows), 10.0
        found = space.units[rows].var(axis=0, ddof=1) / spread if count > 1 else np.ones_like(spread)
        weights = (strength + count - 1) / (strength + (count - 1) * found)
        return space.scores(space.cosines((space.units[rows].mean(axis=0) * weights)[None]))[0]

    return {
        "mean of standardised vectors": lambda rows: unit_rows(plain) @ plain[rows].mean(axis=0),
        "softly whitened": lambda rows: space.cosines(space.units[rows].mean(axis=0)[None])[0],
        "softly whitened, hubs corrected": lambda rows: space.scores(
            space.cosines(space.units[rows].mean(axis=0)[None])
        )[0],
        "the same, weighted by the examples' spread": weighted,
    }


def judge(labels: NDArray[np.str_], vectors: NDArray[np.float32], examples: int, draws: int, seed: int) -> dict[str, Array]:
    """Return the share of the class among the ten nearest, for each query and draw."""
    rng, asked = np.random.default_rng(seed), []
    for name in np.unique(labels[labels != ""]):
        rows = np.flatnonzero(labels == name)
        if len(rows) >= examples + 5:
            asked += [(name, rng.choice(rows, examples, replace=False)) for _ in range(draws)]
    found = {}
    for query, score in queries_of(vectors).items():
        shares = []
        for name, rows in asked:
            scores = np.where(labels == "", -np.inf, score(rows))  # type: ignore[operator]
            scores[rows] = -np.inf
            shares.append(float((labels[np.argsort(-scores)[:K]] == name).mean()))
        found[query] = np.array(shares)
    return found


def interval(differences: Array, seed: int) -> str:
    """Return mean and 95 % interval of paired differences."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(0, len(differences), (2000, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    names, vectors = songs_of(asked.bench, asked.model)
    print(f"{len(names)} songs, {asked.examples} examples, seed {asked.seed}; {platform.processor() or platform.machine()}\n")
    print("| query | " + " | ".join(f"{task} P@10 | to the first" for task in TASKS) + " |")
    print("|---|" + "---|---|" * len(TASKS))
    judged = [judge(labels_of(asked.bench, task, names), vectors, asked.examples, asked.draws, asked.seed) for task in TASKS]
    for query in judged[0]:
        cells = []
        for found in judged:
            first = next(iter(found.values()))
            cells += [f"{found[query].mean():.3f}", interval(found[query] - first, asked.seed)]
        print(f"| {query} | " + " | ".join(cells) + " |")
    space = SearchSpace.fit(vectors)
    cosines = {
        "raw": unit_rows(vectors) @ unit_rows(vectors).T,
        "standardised": unit_rows(Standardiser.fit(vectors)(vectors)) @ unit_rows(Standardiser.fit(vectors)(vectors)).T,
        "softly whitened": space.cosines(space.units),
    }
    cosines["softly whitened, hubs corrected"] = space.scores(cosines["softly whitened"])
    print("\n| cosines | skewness of 10-occurrence | most often near | never near |\n|---|---|---|---|")
    for name, values in cosines.items():
        values = values.copy()
        np.fill_diagonal(values, -np.inf)
        counts = np.bincount(np.argsort(-values, axis=1)[:, :K].ravel(), minlength=len(values))
        print(f"| {name} | {skewness_of(counts):.2f} | {counts.max()} | {(counts == 0).mean():.0%} |")


if __name__ == "__main__":
    main()
