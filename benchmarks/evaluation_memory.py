"""What a full evaluation of a large catalogue takes: the peak memory of the whole process, and its time.

    python benchmarks/evaluation_memory.py [--items 1000000] [--users 2000]

A synthetic recommender (random content, untrained towers, plays drawn by popularity) is written by one process;
another runs `audiomae evaluate` on it: towers with calibration, random, popularity and recent popularity, every part,
list lengths 10, 20 and 100, bootstrap. Its peak is the resident set that Linux reports (VmHWM), memory-mapped pages
included. iALS, BPR and item-kNN are left out: their models (items × factors, items × neighbours) are as large as the
catalogue, and none of ours. The target is below 1 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import conditions, markdown

LIMIT_MIB = 1e9 / 2**20

MAKE = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, torch
from audiomae.listening.content import Content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.splits import SplitSettings, protocol, split_interactions
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings

folder, items, users, plays = Path(sys.argv[1]), *map(int, sys.argv[2:])
generator = np.random.default_rng(0)
names = [f"t{row:08}" for row in range(items)]
vectors = generator.standard_normal((items, 32), dtype=np.float32)
tags = {"track_id": names, "artist": [f"a{row // 10:07}" for row in range(items)]}
tags |= {name: [""] * items for name in ("title", "album", "genre")}
content = Content(folder, names, vectors, pa.table(tags), "synthetic", None)
tracks = (items * generator.random(users * plays) ** 3).astype(np.int32)
table = Interactions.build(
    [f"u{row:06}" for row in range(users)], names, np.repeat(np.arange(users), plays), tracks,
    generator.integers(1_500_000_000, 1_600_000_000, users * plays),
)
config = SplitSettings(cold_tracks=0.05, cold_artists=0.02)
split = split_interactions(table, config, tags["artist"])
features = UserFeatures.fit(None, table.user_ids, FeatureSettings())
towers = make_towers(features, torch.from_numpy(vectors[:10_000]), 0, TowerSettings(track_ids=False),
                     ObjectiveSettings(), 10, 0)
model = TowerModel(towers, features, [], {})
place = RecommenderFolder(folder)
model.save(place.towers)
slices = {name: getattr(split, name) for name in ("train", "validation", "test")}
place.write_tables(slices, pa.table({"user_id": table.user_ids}), protocol(split, config))
Catalogue.create(place.catalogue, content, model, split.train)
place.write_meta(model, gamma=1.0, about={"popularity": "separate"})
"""

JUDGE = """
import json, resource, sys, time
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

from audiomae.verbs.evaluate import EvaluateSettings, evaluate
imported, start = peak(), time.perf_counter()
evaluate(EvaluateSettings(
    (sys.argv[1],), baselines=("random", "popularity", "recent"), out=sys.argv[2]
))
print("RESULT " + json.dumps({"imported": imported, "peak": peak(), "seconds": time.perf_counter() - start}))
"""


def run(script: str, *words: str) -> str:
    """Run a script in a process of its own and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", script, *words], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000, help="tracks of the catalogue")
    parser.add_argument("--users", type=int, default=2000, help="listeners")
    parser.add_argument("--plays", type=int, default=100, help="plays of a listener")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "rec", Path(scratch) / "evaluation.json"
        (folder / "tables").mkdir(parents=True)
        started = time.perf_counter()
        run(MAKE, str(folder), str(options.items), str(options.users), str(options.plays))
        print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        printed = run(JUDGE, str(folder), str(out))
        found = json.loads(next(line for line in printed.splitlines() if line.startswith("RESULT "))[7:])
        judged = json.loads(out.read_text())["protocol"]["users_judged"]
    rows = [
        ["after importing", f"{found['imported']:.0f}", ""],
        [
            f"full evaluation, {options.items:,} tracks × 64, {judged} users judged",
            f"{found['peak']:.0f}",
            f"{found['seconds']:.0f}",
        ],
        ["target", f"below {LIMIT_MIB:.0f}", ""],
    ]
    print(markdown(["process", "peak resident, MiB", "s"], rows))
    print(f"\n{conditions(0)}")


if __name__ == "__main__":
    main()
