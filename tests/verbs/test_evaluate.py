"""`audiomae evaluate` sets recommenders beside baselines and says how."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from audiomae.disk.files import write_json
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.listening.content import Content, write_content
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.evaluation.baselines.factorisation import implicit_is_there
from audiomae.recommend.evaluation.baselines.popularity import Popularity
from audiomae.recommend.evaluation.baselines.registry import BASELINES, BaselineEntry
from audiomae.recommend.splits import SplitSettings, protocol, split_interactions
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.verbs.evaluate import EvaluateSettings, evaluate

DAY = 86_400
USERS, ITEMS = 30, 40
QUICK = ("random", "popularity", "recent", "item-knn")


def draw_plays(seed=0):
    """Users of even number like even tracks; every play has a time of its own."""
    draw = np.random.default_rng(seed)
    users = np.repeat(np.arange(USERS), 14)
    tracks = (draw.integers(0, ITEMS // 2, len(users)) * 2 + users % 2).astype(int)
    times = draw.permutation(len(users)) * DAY // 8
    names = [f"u{code:02}" for code in range(USERS)], [f"t{code:02}" for code in range(ITEMS)]
    return Interactions.build(*names, users, tracks, times)


def make_recommender(folder, *, config=None, seed=0, plays=None):
    """A recommender of untrained towers over real tables."""
    config = config or SplitSettings(validation=0.2, test=0.2, cold_tracks=0.15)
    plays = draw_plays() if plays is None else plays
    draw = np.random.default_rng(seed)
    tags = pa.table(
        {
            "track_id": plays.track_ids,
            "artist": [f"artist {row // 4}" for row in range(ITEMS)],
            **{name: [""] * ITEMS for name in ("title", "album", "genre")},
        }
    )
    write_content(folder / "content.parquet", tags, draw.normal(size=(ITEMS, 6)).astype(np.float32))
    content = Content.open(folder / "content.parquet")
    split = split_interactions(plays, config, tags["artist"].to_pylist())
    features = UserFeatures.fit(None, plays.user_ids, FeatureSettings())
    settings = TowerSettings(dim=8, hidden=8, track_ids=False)
    vectors = torch.from_numpy(content.vectors)
    towers = make_towers(features, vectors, 0, settings, ObjectiveSettings(), 1, seed)
    model = TowerModel(towers, features, [], {})
    model.save(folder / "towers")
    for name in ("train", "validation", "test"):
        getattr(split, name).write(folder / "tables" / f"{name}.parquet")
    pq.write_table(pa.table({"user_id": plays.user_ids}), folder / "tables" / "users.parquet")
    write_json(folder / "tables" / "protocol.json", protocol(split, config))
    Catalogue.create(folder / "catalogue", content, model, split.train)
    about = {"scale": model.scale, "bias": model.bias, "gamma": 0.5, "towers_fingerprint": model.fingerprint}
    write_json(
        folder / "recommender.json",
        {"format": "audiomae-recommender/1", **about, "fingerprint": f"seed {seed}"},
    )
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_recommender(tmp_path_factory.mktemp("rec"))


@pytest.fixture(scope="module")
def result(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "evaluation.json"
    content = trained + "/content.parquet"
    found = evaluate(
        EvaluateSettings(
            (trained,),
            baselines=(*QUICK, "content-knn"),
            content=content,
            out=str(out),
            ks=(5, 10),
            draws=100,
        )
    )
    return found, json.loads(out.read_text()), out


def test_the_towers_stand_beside_the_baselines_with_intervals(result):
    found, _, _ = result
    systems = found.parts["all"].systems
    assert sorted(systems) == sorted(
        ["towers", "random", "popularity", "recent popularity", "item-kNN", "content-kNN"]
    )
    for measures in systems.values():
        for of in measures.values():
            assert 0 <= of.low <= of.mean <= of.high <= 1
    # Plays follow even and odd numbers, which neighbours see and popularity does not.
    assert systems["item-kNN"]["ndcg@10"].mean > systems["popularity"]["ndcg@10"].mean
    gap = found.parts["all"].differences["random"]["ndcg@10"]
    assert gap.mean == pytest.approx(systems["towers"]["ndcg@10"].mean - systems["random"]["ndcg@10"].mean)


def test_few_users_and_songs_are_said_to_decide_nothing(result):
    found, *_ = result
    few, long = found.cautions
    judged = found.protocol.users_judged
    assert few.startswith(f"these figures decide nothing: {judged} users were judged")
    assert long.startswith("figures @5 and above decide nothing: a list of 5 holds 12 % of the 40 songs")


def test_the_result_carries_its_protocol(result):
    _, written, _ = result
    said = written["protocol"]
    assert said["split"]["split"]["kind"] == "time"
    assert said["split"]["test_time"]["seconds"] > said["split"]["validation_time"]["seconds"]
    assert said["known"] == "train and validation"
    assert said["candidates"].startswith("all 40 tracks")
    assert said["users_judged"] <= USERS
    assert said["ties"] == "by smaller track id"
    assert said["systems"]["towers"][0]["fingerprint"] == "seed 0"
    assert set(said["systems"]["item-kNN"][0]["parameters"]) == {"neighbours", "weights"}
    assert said["systems"]["recent popularity"][0]["tried"]
    assert said["versions"]["audiomae"]
    assert said["pairs_dropped_as_played_before"] > 0
    assert sum(said["groups"].values()) == ITEMS
    assert {"validation", "ndcg@10"} <= {said["tuning"]["on"], said["tuning"]["measure"]}


def test_cold_tracks_are_judged_in_the_catalogue_and_by_themselves(result):
    found, _, _ = result
    full, alone = (
        found.parts[name].systems["random"]["recall@10"].mean
        for name in ("cold tracks", "cold tracks among themselves")
    )
    assert alone >= full


def test_probabilities_are_calibrated_on_validation_and_judged_later(result):
    found, written, _ = result
    kinds = found.calibration.systems["towers"]
    assert set(kinds) == {"as trained", "platt", "isotonic"}
    assert found.calibration.platt is not None
    assert kinds["platt"].normalised_entropy > 0
    assert set(written["calibration"]["systems"]["towers"]["platt"]) == {
        "log_loss",
        "normalised_entropy",
        "calibration_error",
    }
    assert written["calibration"]["platt"]["kind"] == "platt"


def test_what_is_written_is_what_is_returned(result):
    found, written, _ = result
    assert written["format"] == "audiomae-evaluation/1"
    assert set(written) == {"format", "protocol", "parts", "lists", "calibration", "cautions"}
    assert written["parts"]["all"]["users"] == found.parts["all"].users
    assert written["parts"]["all"]["systems"]["towers"]["ndcg@10"] == pytest.approx(
        dataclasses.asdict(found.parts["all"].systems["towers"]["ndcg@10"])
    )
    assert "plays_not_after_the_known_ones" not in written["protocol"]


def test_a_baseline_is_added_by_one_line(trained, monkeypatch):
    class Oldest(Popularity):
        name = "oldest"

    monkeypatch.setitem(BASELINES, "oldest", BaselineEntry(lambda _: Oldest()))
    found = evaluate(EvaluateSettings((trained,), baselines=("oldest",), ks=(10,), draws=20))
    assert set(found.parts["all"].systems) == {"towers", "oldest"}


def test_the_tables_are_written_beside_the_result(result):
    *_, out = result
    text = out.with_suffix(".md").read_text()
    assert "| system | recall@5 |" in text
    assert "| item-kNN |" in text
    assert "95 % intervals" in text


def test_seeds_are_pooled_and_others_stand_beside(trained, tmp_path):
    seeds = (trained, make_recommender(tmp_path / "rec_seed1", seed=1))
    beside = make_recommender(tmp_path / "rec_mel", seed=2)
    out = tmp_path / "evaluation.json"
    evaluate(EvaluateSettings(seeds, (beside,), baselines=(), out=str(out), ks=(10,), draws=50))
    found = json.loads(out.read_text())
    systems = found["parts"]["all"]["systems"]
    assert set(systems) == {"towers", "rec_mel"}
    assert systems["towers"]["ndcg@10"]["deviation_over_seeds"] >= 0
    assert systems["rec_mel"]["ndcg@10"]["deviation_over_seeds"] is None
    assert len(found["protocol"]["systems"]["towers"]) == 2
    assert "±" in out.with_suffix(".md").read_text()


def test_a_recommender_of_another_split_is_refused(trained, tmp_path):
    other = make_recommender(tmp_path / "other", config=SplitSettings(validation=0.1, test=0.1))
    with pytest.raises(
        FingerprintError, match=r"other: its plays and tracks \(\w+\) are not those of the first"
    ):
        evaluate(EvaluateSettings((trained,), (other,), baselines=()))


def test_tables_without_time_leave_recent_popularity_out(tmp_path, caplog):
    caplog.set_level("INFO", "audiomae")
    plays = draw_plays()
    timeless = Interactions.build(plays.user_ids, plays.track_ids, plays.users, plays.tracks)
    folder = make_recommender(
        tmp_path / "rec", config=SplitSettings("per_user", validation=0.2, test=0.2), plays=timeless
    )
    out = tmp_path / "evaluation.json"
    evaluate(EvaluateSettings((folder,), baselines=("recent", "random"), out=str(out), draws=20))
    assert "left out: recent (the split is not by time, so nothing is recent)" in caplog.text
    assert json.loads(out.read_text())["protocol"]["left_out"].keys() == {"recent"}


def test_later_plays_judge_a_recommender_trained_on_all(tmp_path):
    plays = draw_plays()
    folder = make_recommender(tmp_path / "rec", config=SplitSettings("none"))
    with pytest.raises(
        DataError, match=r"rec: its test slice holds 0 plays; at least one is needed\. Train with"
    ):
        evaluate(EvaluateSettings((folder,), baselines=()))
    last = int(plays.times.max())
    rows = [("u00", "t01", last + 9), ("u00", "t02", last), ("new", "t03", last + 9), ("u01", "tX", last + 9)]
    later = tmp_path / "later.csv"
    later.write_text("user_id,track_id,timestamp\n" + "".join(f"{u},{t},{s}\n" for u, t, s in rows))
    out = tmp_path / "evaluation.json"
    evaluate(
        EvaluateSettings(
            (folder,), interactions=str(later), baselines=("popularity",), out=str(out), draws=20
        )
    )
    found = json.loads(out.read_text())
    assert found["protocol"]["judged_on"] == "later.csv"
    assert found["protocol"]["plays_of_tracks_not_in_the_catalogue"] == 1
    assert found["protocol"]["plays_not_after_the_known_ones"] == 1
    assert found["parts"]["cold users"]["users"] == 1
    assert found["protocol"]["tuning"]["on"] == "nothing: defaults"
    assert found["calibration"] == {"note": "no validation slice to calibrate on"}


@pytest.mark.skipif(not implicit_is_there(), reason="implicit (extra bench) is not installed")
def test_factorisations_stand_beside_untuned(trained, tmp_path):
    out = tmp_path / "evaluation.json"
    evaluate(
        EvaluateSettings((trained,), baselines=("ials", "bpr"), tune=False, out=str(out), ks=(10,), draws=20)
    )
    found = json.loads(out.read_text())
    assert {"iALS", "BPR"} <= set(found["parts"]["all"]["systems"])
    assert found["protocol"]["systems"]["iALS"][0]["tried"] == []


def test_a_recommender_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"protocol\.json: no such file"):
        evaluate(EvaluateSettings((str(tmp_path / "rec"),)))
    with pytest.raises(ConfigError, match=r"no recommender named; give a folder of audiomae train-towers\."):
        evaluate(EvaluateSettings())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"draws": 0}, "draws is 0; it must be at least 1."),
        ({"ks": ()}, r"ks is \[\]; give list lengths of 1 or more"),
        ({"baselines": ("svd",)}, r"no baseline 'svd'\. There are random, popularity"),
        ({"tuning_measure": "map@10"}, "tuning_measure is 'map@10'; give recall, ndcg"),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        EvaluateSettings(**settings)
