"""From a trained recommender to lists, on two tastes whose right answer is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.cli.explain import ExplainSettings, explain
from audiomae.cli.recommend import RecommendSettings, recommend
from audiomae.cli.train_ranker import TrainRankerSettings, train_ranker
from audiomae.cli.train_towers import TrainTowersSettings, train_towers
from audiomae.cli.update_catalogue import UpdateCatalogueSettings, update_catalogue
from audiomae.errors import AudiomaeError, ConfigError, DataError, FingerprintError
from audiomae.listening.tables import TableSettings
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.ranking.ranker import RankerSettings
from audiomae.recommend.splits import SplitSettings
from audiomae.recommend.towers.features import FeatureSettings
from audiomae.training.settings import LoopSettings

DAY = 86_400
Rows = list[dict[str, Any]]


def write_content(
    path: Path, names: list[str], *, encoder: str = "enc", dim: int = 6, broken: bool = False
) -> str:
    """Vectors of tracks: those named c… point one way, those named m… another."""
    draw = np.random.default_rng(sum(map(ord, "".join(names))))
    vectors = 0.3 * draw.normal(size=(len(names), dim))
    vectors[:, 0] += [1.0 if name[0] == "c" else -1.0 for name in names]
    if broken:
        vectors[0, 1] = np.nan
    table = pa.table(
        {
            "track_id": names,
            "title": [f"Title of {name}" for name in names],
            "artist": [f"artist {name[:2]}" for name in names],
            "genre": ["calm" if name[0] == "c" else "metal" for name in names],
            "vector": pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table.replace_schema_metadata({"audiomae.model_fingerprint": encoder}), path)
    return str(path)


def write_tables(folder: Path) -> TableSettings:
    """Eighty users who play 12 tracks of one kind; the young ones calm songs."""
    draw = np.random.default_rng(0)
    rows: Rows = []
    users: Rows = []
    for user in range(80):
        kind = "c" if user % 2 else "m"
        users.append({"user_id": f"u{user:02d}", "age": 20 if kind == "c" else 60})
        for nth, track in enumerate(draw.choice(30, 12, replace=False)):
            name = f"{kind}{track:02d}"
            rows.append({"user_id": f"u{user:02d}", "track_id": name, "timestamp": (nth + 1) * DAY + user})
    pq.write_table(pa.Table.from_pylist(rows), folder / "plays.parquet")
    pq.write_table(pa.Table.from_pylist(users), folder / "users.parquet")
    return TableSettings(str(folder / "plays.parquet"), users=str(folder / "users.parquet"))


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Towers trained on the two tastes, to be read only."""
    place = tmp_path_factory.mktemp("tastes")
    names = [f"{kind}{track:02d}" for kind in "cm" for track in range(30)]
    loop = LoopSettings(batch=128, learning_rate=0.01, evaluate_every=60, checkpoint_every=60, threads=1)
    train_towers(
        TrainTowersSettings(
            write_content(place / "content.parquet", names),
            write_tables(place),
            SplitSettings(validation=0.2, test=0.1),
            FeatureSettings(least_count=1, buckets=2),
            out=str(place / "rec"),
            steps=60,
            train=loop,
        )
    )
    return str(place / "rec")


@pytest.fixture
def own(rec: str, tmp_path: Path) -> str:
    """A copy of it, to be changed."""
    shutil.copytree(rec, tmp_path / "own")
    return str(tmp_path / "own")


def ask(capsys: pytest.CaptureFixture[str], folder: str, **settings: Any) -> Rows:
    capsys.readouterr()
    assert recommend(RecommendSettings(folder, json=True, **settings)) == 0
    lists: Rows = json.loads(capsys.readouterr().out)["lists"]
    return lists


def kinds(entry: dict[str, Any]) -> set[str]:
    return {song["track_id"][0] for song in entry["songs"]}


def test_a_user_gets_songs_of_his_taste_that_he_has_not_heard(rec, capsys):
    (entry,) = ask(capsys, rec, user="u01", k=15)
    assert kinds(entry) == {"c"}
    heard = pq.read_table(Path(rec) / "tables" / "train.parquet").to_pylist()
    assert not {song["track_id"] for song in entry["songs"]} & {
        play["track_id"] for play in heard if play["user_id"] == "u01"
    }
    scores = [song["score"] for song in entry["songs"]]
    assert scores == sorted(scores, reverse=True)
    assert set(entry["songs"][0]) == {"track_id", "title", "artist", "album", "genre", "score", "cosine"}


def test_several_users_get_the_lists_that_each_gets_alone(rec, capsys):
    lists = ask(capsys, rec, users=("u02", "u01"), k=7)
    assert [entry["user"] for entry in lists] == ["u02", "u01"]
    assert lists[1] == ask(capsys, rec, user="u01", k=7)[0]


def test_ids_are_read_between_commas_or_from_a_json_list(rec, capsys):
    both = ask(capsys, rec, users="u02,u01", k=3)
    assert (
        both == ask(capsys, rec, users='["u02", "u01"]', k=3) == ask(capsys, rec, users=("u02", "u01"), k=3)
    )
    with pytest.raises(ConfigError, match="is no JSON list; write it like"):
        RecommendSettings(rec, users="[u02, u01]")


def test_a_new_user_gets_songs_by_what_is_known_of_him(rec, capsys):
    by_age = {age: kinds(ask(capsys, rec, new={"age": age}, k=8)[0]) for age in (20, 60)}
    assert by_age == {20: {"c"}, 60: {"m"}}
    assert kinds(ask(capsys, rec, liked=("m03", "m07"), k=8)[0]) == {"m"}
    assert len(ask(capsys, rec, new={}, k=8)[0]["songs"]) == 8


def test_songs_are_limited_by_artist_and_tag(rec, capsys):
    (entry,) = ask(capsys, rec, user="u01", k=50, per_artist=1, where={"genre": ["metal"]})
    assert [song["artist"] for song in entry["songs"]] == sorted(
        {"artist m0", "artist m1", "artist m2"}, key=[song["artist"] for song in entry["songs"]].index
    )
    assert kinds(entry) == {"m"}


def test_heard_songs_are_listed_when_asked_for(rec, capsys):
    assert len(ask(capsys, rec, user="u01", k=100)[0]["songs"]) == 48
    assert len(ask(capsys, rec, user="u01", k=100, heard=True)[0]["songs"]) == 60


def test_later_plays_are_left_out_too(rec, capsys, tmp_path):
    first = ask(capsys, rec, user="u01", k=1)[0]["songs"][0]["track_id"]
    newer = tmp_path / "newer.csv"
    newer.write_text(f"user_id,track_id,timestamp\nu01,{first},{30 * DAY}\n")
    listed = ask(capsys, rec, user="u01", k=60, interactions=str(newer))[0]["songs"]
    assert first not in [song["track_id"] for song in listed]


def test_lists_of_everybody_are_written_as_parquet(rec, capsys, tmp_path):
    out = tmp_path / "lists.parquet"
    assert recommend(RecommendSettings(rec, all=True, k=5, out=str(out))) == 0
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == 80 * 5
    mine = [row for row in rows if row["user_id"] == "u01"]
    assert [row["place"] for row in mine] == [1, 2, 3, 4, 5]
    alone = ask(capsys, rec, user="u01", k=5)[0]["songs"]
    assert [row["track_id"] for row in mine] == [song["track_id"] for song in alone]
    assert json.loads(json.dumps(mine[0]["score"])) == pytest.approx(alone[0]["score"], abs=1e-5)


def test_one_list_is_written_as_parquet_too(rec, tmp_path):
    out = tmp_path / "one.parquet"
    recommend(RecommendSettings(rec, new={}, k=3, out=str(out)))
    assert pq.read_table(out)["user_id"].to_pylist() == ["new"] * 3


def test_the_table_names_the_songs(rec, capsys):
    capsys.readouterr()
    assert recommend(RecommendSettings(rec, user="u01", k=2)) == 0
    shown = capsys.readouterr().out
    assert "For user u01" in shown
    assert "Title of c" in shown


@pytest.mark.parametrize(
    ("settings", "kind", "line"),
    [
        ({"user": "nobody"}, DataError, r"user 'nobody' is not among the 80 known.*--new"),
        ({"liked": ("c99",)}, DataError, "track 'c99' is not among the 60 of the catalogue. Close: c"),
        (
            {"new": {"shoe": 44}},
            DataError,
            "field 'shoe' is not one that the towers know of users. They know age",
        ),
        ({"user": "u01", "where": {"genre": ["metl"]}}, DataError, "no song has genre 'metl'. Close: metal"),
        ({"user": "u01", "interactions": "none.csv"}, DataError, "none.csv"),
        ({"user": "u01", "per_artist": 0}, ConfigError, "per_artist is 0"),
    ],
)
def test_what_is_not_there_is_one_line(rec, settings, kind, line):
    with pytest.raises(kind, match=line) as caught:
        recommend(RecommendSettings(rec, **settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "recommend makes lists for one kind of user: give --user ID"),
        ({"user": "a", "liked": ("t",)}, "recommend makes lists for one kind of user"),
        ({"all": True}, "name a file for them, --out"),
        ({"users": tuple(map(str, range(21)))}, "21 tables are too many to read"),
        ({"user": "a", "k": 0}, "k is 0; it must be at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, line):
    with pytest.raises(ConfigError, match=line):
        RecommendSettings("rec", **settings)


def test_explain_shows_the_nearest_heard_songs_and_the_parts(rec, capsys):
    first = ask(capsys, rec, user="u01", k=1)[0]["songs"][0]
    assert explain(ExplainSettings(rec, first["track_id"], user="u01", json=True)) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["place"] == about["place_of_retrieval"] == 1
    assert about["heard"] is False
    assert len(about["nearest_heard"]) == 5
    assert {song["track_id"][0] for song in about["nearest_heard"]} == {"c"}
    cosines = [song["cosine"] for song in about["nearest_heard"]]
    assert cosines == sorted(cosines, reverse=True)
    assert sum(about["shares"].values()) == pytest.approx(1)
    assert about["retrieval"] == pytest.approx(first["score"], abs=1e-5)


def test_explain_tells_people_too(rec, capsys):
    explain(ExplainSettings(rec, "c03", new={"age": 20}))
    shown = capsys.readouterr().out
    assert "has heard nothing" in shown
    assert "popularity" in shown
    explain(ExplainSettings(rec, "m03", liked=("m01",)))
    assert "Title of m01" in capsys.readouterr().out


def test_explain_refuses_what_is_not_there(rec):
    with pytest.raises(DataError, match="track 'x' is not among the 60"):
        explain(ExplainSettings(rec, "x", user="u01"))
    with pytest.raises(ConfigError, match="explain is about one user"):
        ExplainSettings(rec, "c01")
    with pytest.raises(ConfigError, match="nearest is 0"):
        ExplainSettings(rec, "c01", user="u01", nearest=0)


SMALL_TREES = RankerSettings(candidates=30, trees=20, least_in_leaf=5)


def test_the_ranker_is_trained_used_and_as_good_as_it_says(own, capsys):
    folder = own
    plain = ask(capsys, folder, user="u01", k=5)
    assert train_ranker(TrainRankerSettings(folder, ranker=SMALL_TREES)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["gain"] == pytest.approx(said["ndcg_of_ranker"] - said["ndcg_of_retrieval"])
    assert (said["keeps"] == "ranker") == (said["gain"] > 1.645 * said["gain_error"])
    first = (Path(folder) / "ranker" / "ranker.txt").read_bytes()
    train_ranker(TrainRankerSettings(folder, ranker=SMALL_TREES))
    assert (Path(folder) / "ranker" / "ranker.txt").read_bytes() == first
    assert ask(capsys, folder, user="u01", k=5, ranker=False) == plain


def test_the_ranker_sees_no_play_after_the_training_slice(own):
    folder = Path(own)
    train_ranker(TrainRankerSettings(str(folder), ranker=SMALL_TREES))
    first = (folder / "ranker" / "ranker.txt").read_bytes()
    test = pq.read_table(folder / "tables" / "test.parquet")
    pq.write_table(test.slice(0, 1), folder / "tables" / "test.parquet")
    train_ranker(TrainRankerSettings(str(folder), ranker=SMALL_TREES))
    assert (folder / "ranker" / "ranker.txt").read_bytes() == first


def test_a_ranker_needs_a_validation_slice(own):
    folder = Path(own)
    path = folder / "tables" / "validation.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match="its validation slice is empty"):
        train_ranker(TrainRankerSettings(str(folder)))
    with pytest.raises(ConfigError, match="most_users is 0"):
        TrainRankerSettings(str(folder), most_users=0)


def test_songs_are_added_replaced_and_removed_without_training(own, capsys, tmp_path):
    folder = own
    before = Catalogue.open(Path(folder) / "catalogue")
    new = write_content(tmp_path / "new.parquet", ["c90", "m90"])
    assert update_catalogue(UpdateCatalogueSettings(folder, add=new)) == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == 62
    listed = ask(capsys, folder, new={"age": 20}, k=40)[0]["songs"]
    assert "c90" in [song["track_id"] for song in listed[:31]]
    # A calm song given the vector of a loud one leaves the calm lists.
    turned = pq.read_table(new).slice(1, 1).set_column(0, "track_id", pa.array(["c90"]))
    pq.write_table(turned, tmp_path / "turned.parquet")
    update_catalogue(UpdateCatalogueSettings(folder, replace=str(tmp_path / "turned.parquet")))
    listed = ask(capsys, folder, new={"age": 20}, k=20)[0]["songs"]
    assert "c90" not in [song["track_id"] for song in listed]
    update_catalogue(UpdateCatalogueSettings(folder, remove=("c90", "m90")))
    after = Catalogue.open(Path(folder) / "catalogue")
    assert after.items.equals(before.items)
    np.testing.assert_array_equal(after.projected, before.projected)


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        ({"encoder": "other"}, FingerprintError, "the vectors are of encoder other, the catalogue's of enc"),
        ({"dim": 5}, FingerprintError, "the vectors have 5 entries, the catalogue's have 6"),
        ({"broken": True}, DataError, "NaN"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(rec, tmp_path, content, kind, line):
    path = write_content(tmp_path / "new.parquet", ["c95"], **content)
    before = Catalogue.open(Path(rec) / "catalogue").meta
    with pytest.raises(kind, match=line) as caught:
        update_catalogue(UpdateCatalogueSettings(rec, add=path))
    assert "\n" not in str(caught.value)
    assert Catalogue.open(Path(rec) / "catalogue").meta == before


def test_an_update_does_one_thing():
    with pytest.raises(ConfigError, match="update-catalogue does one thing at a time"):
        UpdateCatalogueSettings("rec")
    with pytest.raises(ConfigError, match="update-catalogue does one thing at a time"):
        UpdateCatalogueSettings("rec", add="a", remove=("b",))


def test_a_folder_that_is_no_recommender_is_one_line(tmp_path):
    with pytest.raises(AudiomaeError, match=r"recommender.json: no such file. Is .* the folder you meant"):
        recommend(RecommendSettings(str(tmp_path), user="u01"))
