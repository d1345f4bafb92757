from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import pytest

from audiomae.disk.files import fingerprint_of, read_json, write_json
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.recommend.ranking import files
from audiomae.recommend.ranking.features import FEATURES
from audiomae.recommend.ranking.ranker import (
    LEAST_JUDGES,
    Ranker,
    RankerSettings,
    RankingGroup,
    fit_ranker,
    order_by,
)

SMALL = RankerSettings(candidates=20, trees=60, least_in_leaf=5)


def make_groups(users: int, *, says: str | None, seed: int = 0) -> list[RankingGroup]:
    """Users with 20 candidates, 3 of them relevant: those of the largest value of one feature, or any."""
    draw = np.random.default_rng(seed)
    groups = []
    for _ in range(users):
        features = draw.normal(size=(20, len(FEATURES))).astype(np.float32)
        features[:, 0] = np.sort(features[:, 0])[::-1]
        value = draw.random(20) if says is None else features[:, FEATURES.index(says)]
        groups.append(RankingGroup(features, np.argsort(np.argsort(-value)) < 3))
    return groups


@pytest.fixture(scope="module")
def trained() -> Ranker:
    return fit_ranker(make_groups(200, says="artist_share"), SMALL)


def test_the_ranker_finds_the_feature_that_tells(trained):
    assert trained.in_use
    assert trained.meta["ndcg_of_ranker"] > 0.9
    assert trained.meta["ndcg_of_ranker"] > trained.meta["ndcg_of_retrieval"] + 0.3
    features = make_groups(1, says=None, seed=9)[0].features
    best = order_by(trained.score(features))[:3]
    assert set(best) == set(np.argsort(-features[:, FEATURES.index("artist_share")])[:3])


def test_retrieval_is_kept_where_the_ranker_is_not_better():
    # Retrieval is right already: nothing can be above it.
    ranker = fit_ranker(make_groups(60, says="retrieval"), SMALL)
    assert ranker.meta["ndcg_of_retrieval"] == 1.0
    assert ranker.meta["keeps"] == "retrieval"
    assert not ranker.in_use


def test_a_gain_that_may_be_chance_is_not_enough():
    ranker = fit_ranker(make_groups(40, says=None), SMALL)
    gain, error = ranker.meta["gain"], ranker.meta["gain_error"]
    assert gain < 1.645 * error
    assert ranker.meta["keeps"] == "retrieval"


@pytest.mark.parametrize(("users", "kept"), [(60, False), (100, True)])
def test_a_clear_gain_of_a_few_users_decides_nothing(users, kept):
    ranker = fit_ranker(make_groups(users, says="artist_share"), SMALL)
    assert ranker.meta["gain"] > 1.645 * ranker.meta["gain_error"]
    assert ranker.meta["users"]["judging"] == users // 5
    assert (ranker.meta["users"]["judging"] >= LEAST_JUDGES) == ranker.in_use == kept


def test_the_same_groups_and_seed_give_the_same_trees(trained):
    again = fit_ranker(make_groups(200, says="artist_share"), SMALL)
    assert again.booster.model_to_string() == trained.booster.model_to_string()


def test_a_row_scores_the_same_alone_and_among_others(trained):
    features = np.concatenate([group.features for group in make_groups(5, says=None, seed=3)])
    whole = trained.score(features)
    assert [trained.score(features[row : row + 1])[0] for row in range(len(features))] == whole.tolist()
    assert trained.score(features[:0]).tolist() == []


def test_contributions_add_up_to_the_score_but_for_a_constant(trained):
    features = make_groups(1, says=None, seed=3)[0].features
    rest = trained.score(features) - trained.contributions(features).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)


def test_what_is_saved_is_loaded(trained, tmp_path):
    trained.save(tmp_path, "towers")
    again = Ranker.load(tmp_path, "towers")
    features = make_groups(1, says=None, seed=3)[0].features
    assert again.score(features).tolist() == trained.score(features).tolist()
    assert again.in_use


def test_a_ranker_of_other_towers_is_refused(trained, tmp_path):
    trained.save(tmp_path, "towers")
    with pytest.raises(FingerprintError, match="was trained on towers towers, these are others"):
        Ranker.load(tmp_path, "others")


def test_a_ranker_of_other_features_is_refused(trained, tmp_path):
    trained.save(tmp_path, "towers")
    meta = json.loads((tmp_path / "ranker.json").read_text())
    (tmp_path / "ranker.json").write_text(json.dumps(meta | {"features": ["one"]}))
    with pytest.raises(FingerprintError, match="Run audiomae train-ranker again"):
        Ranker.load(tmp_path, "towers")


def test_a_retraining_killed_between_its_two_files_leaves_the_ranker_of_before(
    trained, tmp_path, monkeypatch
):
    other = fit_ranker(make_groups(200, says="artist_share", seed=1), SMALL)
    trained.save(tmp_path, "towers")

    def die(*_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_json", die)
        with pytest.raises(RuntimeError, match="power cut"):
            other.save(tmp_path, "towers")
    features = make_groups(1, says=None, seed=3)[0].features
    assert Ranker.load(tmp_path, "towers").score(features).tolist() == trained.score(features).tolist()
    other.save(tmp_path, "towers")
    assert Ranker.load(tmp_path, "towers").score(features).tolist() == other.score(features).tolist()
    assert len(list(tmp_path.glob("*.txt"))) == 1


def test_a_folder_of_an_earlier_version_still_opens(trained, tmp_path):
    trained.save(tmp_path, "towers")
    (trees,) = tmp_path.glob("ranker-*.txt")
    trees.rename(tmp_path / "ranker.txt")
    assert Ranker.load(tmp_path, "towers").in_use
    trained.save(tmp_path, "towers")
    assert [path.name for path in tmp_path.glob("*.txt")] == [trees.name]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("tree\n")])
def test_damaged_trees_are_refused(trained, tmp_path: Path, damage):
    trained.save(tmp_path, "towers")
    (trees,) = tmp_path.glob("ranker-*.txt")
    damage(trees)
    with pytest.raises(MissingError, match=r"ranker-[0-9a-f]+\.txt: missing, cut short or changed"):
        Ranker.load(tmp_path, "towers")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"keeps": "both"}, "keeps is 'both'; it must be one of ranker, retrieval"),
        ({"candidates": 10**9}, "ranker.candidates is 1000000000; it must be from 2 to 10000"),
        ({"threads": "8"}, "threads is '8'; it must be a whole number"),
        ({"features": 7}, "features is 7; it must be a list"),
        ({"digest": fingerprint_of(b"tree\n")}, r"\.txt: holds no trees"),
    ],
)
def test_a_ranker_of_other_types_or_absurd_sizes_is_one_line(trained, tmp_path, change, line):
    trained.save(tmp_path, "towers")
    write_json(tmp_path / "ranker.json", read_json(tmp_path / "ranker.json") | change)
    if "digest" in change:
        (tmp_path / f"ranker-{fingerprint_of(b'tree' + bytes([10]))}.txt").write_text("tree\n")
    with pytest.raises(DataError, match=line) as caught:
        Ranker.load(tmp_path, "towers")
    assert "\n" not in str(caught.value)


def test_too_few_users_are_named():
    idle = RankingGroup(np.zeros((3, len(FEATURES)), np.float32), np.zeros(3, bool))
    groups = [*make_groups(4, says="cosine"), idle]
    with pytest.raises(
        DataError, match="4 users have a track of the validation slice among their candidates"
    ):
        fit_ranker(groups, SMALL)


def test_without_openmp_one_line_says_what_to_install(monkeypatch):
    whole = builtins.__import__

    def without_openmp(name, *given, **named):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return whole(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without_openmp)
    with pytest.raises(
        MissingError, match=r"LightGBM cannot be loaded \(libgomp.so.1.*apt-get install libgomp1"
    ):
        fit_ranker(make_groups(20, says="cosine"), SMALL)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("candidates", 1, "candidates is 1; it must be from 2 to 10000"),
        ("candidates", 10_001, "candidates is 10001; it must be from 2 to 10000"),
        ("trees", 0, "trees is 0; it must be at least 1"),
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be above 0"),
        ("held_out", 1.0, "held_out is 1.0; it must be above 0 and below 1"),
    ],
)
def test_settings_out_of_range_are_refused(name, value, line):
    with pytest.raises(ConfigError, match=line):
        RankerSettings(**{name: value})
