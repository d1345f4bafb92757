"""The second half of the demo: simulated listeners, two towers, a ranker, a list, and songs nobody has played."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from audiomae.cli.recommend import show as show_lists
from audiomae.disk.files import read_json
from audiomae.listening.tables import TableSettings
from audiomae.recommend.splits import SplitSettings
from audiomae.verbs.evaluate import EvaluateSettings, evaluate
from audiomae.verbs.prepare_tables import PrepareTablesSettings, prepare_tables
from audiomae.verbs.recommend import RecommendSettings, recommend
from audiomae.verbs.train_ranker import TrainRankerSettings, train_ranker
from audiomae.verbs.train_towers import TrainTowersSettings, train_towers
from data_prep.plays.simulated.listeners import ListenerSettings

__all__ = ["draw_listeners", "judge_towers", "recommend_songs", "train_both"]

LISTENERS = 1000
COLD_SHARE = 0.15
"""Share of the tracks of which no play reaches training."""


def draw_listeners(corpus: Path, out: Path, seed: int) -> None:
    """Simulate who plays what, and take mel statistics as the vectors to compare with."""
    settings = ListenerSettings(listeners=LISTENERS, seed=seed)
    prepare_tables(PrepareTablesSettings(("simulated", str(corpus)), str(out / "tables"), listeners=settings))
    prepare_tables(PrepareTablesSettings(("mel_content", str(corpus)), str(out / "mel_statistics")))


def train_both(vectors: Path, out: Path, seed: int) -> None:
    """Train towers on the vectors, the same on mel statistics, and a ranker for the first."""
    interactions, users, tracks = (
        str(out / "tables" / f"{name}.parquet") for name in ("interactions", "users", "tracks")
    )
    tables = TableSettings(interactions, users, tracks)
    split = SplitSettings(cold_tracks=COLD_SHARE, seed=seed)
    for content, folder in (
        (vectors, "recommender"),
        (out / "mel_statistics" / "content.parquet", "mel_recommender"),
    ):
        train_towers(TrainTowersSettings(str(content), tables, split, out=str(out / folder)))
    train_ranker(TrainRankerSettings(str(out / "recommender")))


def recommend_songs(out: Path, k: int = 5) -> None:
    """Print a list for one listener, and one for somebody of whom nothing is known."""
    recommender = str(out / "recommender")
    user = pq.read_table(out / "tables" / "users.parquet", columns=["user_id"])["user_id"][0].as_py()
    show_lists(recommend(RecommendSettings(recommender, user=user, k=k, per_artist=2)))
    show_lists(recommend(RecommendSettings(recommender, new={}, k=k, per_artist=2)))


def judge_towers(out: Path, seed: int) -> str:
    """Judge the towers on later plays, and return what became of tracks that nobody had played."""
    evaluate(
        EvaluateSettings(
            (str(out / "recommender"),),
            beside=(str(out / "mel_recommender"),),
            baselines=("random", "popularity"),
            tune=False,
            out=str(out / "evaluation.json"),
            seed=seed,
        )
    )
    parts = read_json(out / "evaluation.json")["parts"]
    said = [f"tracks nobody had played (simulated listeners, {parts['cold tracks']['users']} of them):"]
    for part, measure in (("cold tracks", "recall@20"), ("cold tracks among themselves", "ndcg@10")):
        found = {name: values[measure]["mean"] for name, values in parts[part]["systems"].items()}
        where = "in the whole catalogue" if part == "cold tracks" else "among themselves"
        said.append(
            f"  {measure} {where}: {found['towers']:.3f} with these vectors, {found['mel_recommender']:.3f} with mel "
            f"statistics, {found['popularity']:.3f} by popularity, {found['random']:.3f} at random"
        )
    return "\n".join(said)
