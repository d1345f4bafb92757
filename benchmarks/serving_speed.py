"""How fast lists are made: for many users beside implicit, and for one user from candidates to order.

    OPENBLAS_NUM_THREADS=1 python benchmarks/serving_speed.py [--items 20000] [--users 5000] [--one 1000000]

Both sides of the first table filter what was heard, on the same vectors and as many threads, in one run, in turns.
The second is one user at a time, end to end: vector from fields and history, candidates by inverted lists with the
heard filtered, features, ranker, at most two songs of an artist.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from report import conditions, markdown
from scipy.sparse import csr_matrix

from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.index import EXACT_BELOW, Index
from audiomae.recommend.ranking.features import FEATURES
from audiomae.recommend.ranking.ranker import Ranker, RankerSettings, RankingGroup, fit_ranker
from audiomae.recommend.serving.engine import Engine
from audiomae.recommend.serving.lists import ListRules, make_lists
from audiomae.recommend.serving.users import UserReader
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.vectors.search import unit_rows

HEARD = 100
"""Plays of a user."""
_STAGES = ("vector", "candidates", "end to end", "end to end, CPU time")


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--one", type=int, default=1_000_000, help="items of the second table; 0 leaves it out"
    )
    parser.add_argument("--lists", type=int, default=500, help="lists of the second table")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows, (clock, cpu) = _many(given)
    print(f"\n{given.users} users, {given.items} items, 64-d, lists of {given.k}, {HEARD} heard filtered:\n")
    print(markdown(["", "lists a second", "lists a CPU second"], rows))
    pairs = f"median of {given.repeats} pairs"
    print(f"\naudiomae / implicit: {clock:.2f}× by the clock, {cpu:.2f}× by CPU time ({pairs})")
    if given.one:
        print(f"\none user at a time, {given.one} items, list of 10 from 200 candidates:\n")
        print(markdown(["stage", "p50, ms", "p95, ms"], _one(given)))
    print(f"\n{conditions(seed=0)}\n- threads: {given.threads}")


def _vectors(count: int, seed: int, *, dim: int = 64, clusters: int = 2000) -> Any:
    """Unit vectors around centres, as songs lie in genres."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(clusters, dim)).astype(np.float32)
    noise = draw.normal(scale=0.7, size=(count, dim)).astype(np.float32)
    return unit_rows(centres[draw.integers(0, clusters, count)] + noise)


def _many(given: argparse.Namespace) -> tuple[list[list[str]], tuple[float, float]]:
    import implicit.cpu.als as peer

    items, users = _vectors(given.items, 1), _vectors(given.users, 2)
    draw = np.random.default_rng(3)
    played = np.repeat(np.arange(given.users), HEARD), draw.integers(0, given.items, given.users * HEARD)
    shape = (given.users, given.items)
    heard = csr_matrix((np.ones(len(played[0]), np.float32), played), shape=shape)
    prior = np.log(draw.zipf(1.6, given.items) / 1e6).astype(np.float32)
    index = Index(items, prior, scale=10.0, gamma=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains of BLAS threads, which are set to one below
        model = peer.AlternatingLeastSquares(factors=64, num_threads=given.threads)
    model.item_factors, model.user_factors = items, users
    codes = np.arange(given.users)
    arms: dict[str, Callable[[], object]] = {
        "implicit, AlternatingLeastSquares.recommend": lambda: model.recommend(
            codes, heard, N=given.k, filter_already_liked_items=True
        ),
        "audiomae, Index.search": lambda: index.search(users, given.k, exclude=heard),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    used: dict[str, list[float]] = {name: [] for name in arms}
    for arm in arms.values():
        arm()
    for _ in range(given.repeats):
        for name, arm in arms.items():
            start, busy = time.perf_counter(), time.process_time()
            arm()
            seconds[name].append(time.perf_counter() - start)
            used[name].append(time.process_time() - busy)
    rows = [
        [name, f"{given.users / min(seconds[name]):.0f}", f"{given.users / min(used[name]):.0f}"]
        for name in arms
    ]
    ratios = [float(np.median(np.divide(*took.values()))) for took in (seconds, used)]
    return rows, (ratios[0], ratios[1])


def _one(given: argparse.Namespace) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        engine, rules = _large(Path(folder), given.one), ListRules(10, per_artist=2)
        stages: dict[str, list[float]] = {name: [] for name in _STAGES}
        make_lists(engine, engine.reader.known(["u0"]), rules)  # what is computed once
        for turn in range(given.lists):
            name = f"u{turn % 1000}"
            start, used = time.perf_counter(), time.process_time()
            one = engine.reader.known([name])
            stages["vector"].append(time.perf_counter() - start)
            make_lists(engine, one, rules)
            stages["end to end"].append(time.perf_counter() - start)
            stages["end to end, CPU time"].append(time.process_time() - used)
            start = time.perf_counter()
            engine.retrieve_candidates(one, 200)
            stages["candidates"].append(time.perf_counter() - start)
        said = engine.catalogue.meta["index"]
        if said is not None:
            shown = {name: said[name] for name in ("cells", "probes", "recall", "k", "queries")}
            print(f"index: {shown}", file=sys.stderr)
            stages[f"recall@{said['k']} {said['recall']:.3f}, {said['probes']} of {said['cells']} cells"] = []
    return [
        [name, *(f"{1000 * np.quantile(took, share):.2f}" if took else "" for share in (0.5, 0.95))]
        for name, took in stages.items()
    ]


def _large(folder: Path, items: int) -> Engine:
    """A recommender of so many clustered items, its towers untrained, its ranker fitted to anything."""
    names = [f"t{place:07d}" for place in range(items)]
    draw = np.random.default_rng(5)
    content = _vectors(items, 1)
    tags = pa.table(
        {"track_id": names, "artist": [f"artist {one}" for one in draw.integers(0, items // 10, items)]}
    )
    told = Content(folder, names, content, tags, "content", None)
    users = [f"u{place}" for place in range(2000)]
    tracks = (items * draw.random(len(users) * HEARD) ** 3).astype(np.int64)
    plays = Interactions.build(
        users, names, np.repeat(np.arange(len(users)), HEARD), tracks, np.arange(len(tracks)) + 10**9
    )
    table = pa.table({"user_id": sorted(users), "age": draw.integers(15, 80, len(users))})
    features = UserFeatures.fit(table, plays.user_ids, FeatureSettings())
    sizes = TowerSettings(track_ids=False)
    towers = make_towers(features, torch.from_numpy(content), 0, sizes, ObjectiveSettings(), 1, 0)
    model = TowerModel(towers, features, [], {})
    print(f"a catalogue of {items} items …", file=sys.stderr)
    catalogue = Catalogue.create(folder / "catalogue", told, model, plays)
    reader = UserReader(model, catalogue, plays, table)
    if items > EXACT_BELOW:
        start = time.perf_counter()
        queries = reader.known(users[1000:1300]).vectors
        catalogue = catalogue.build_lists(queries, scale=model.scale, gamma=0.5)
        print(f"inverted lists built and tuned in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    index = catalogue.index(scale=model.scale, gamma=0.5)
    return Engine({}, model, catalogue, reader, index, _ranker())


def _ranker() -> Ranker:
    draw = np.random.default_rng(6)
    groups = []
    for _ in range(200):
        features = draw.normal(size=(200, len(FEATURES))).astype(np.float32)
        taste = features @ np.linspace(1, 0, len(FEATURES)) * features[:, 1] + draw.normal(size=200)
        groups.append(RankingGroup(features, taste > np.quantile(taste, 0.95)))
    ranker = fit_ranker(groups, RankerSettings(trees=100, patience=100))
    ranker.meta["keeps"] = "ranker"
    return ranker


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        sys.exit("set OPENBLAS_NUM_THREADS=1 first: implicit is slowed down by BLAS threads beside its own.")
    main()
