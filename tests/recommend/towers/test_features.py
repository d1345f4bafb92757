"""Users as numbers."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.errors import ConfigError, DataError
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.fields.column import Column
from audiomae.recommend.towers.fields.registry import FIELD_TYPES

USERS = pa.table(
    {
        "user_id": ["a", "b", "c", "d", "e", "f"],
        "age": [10, 20, 30, 40, None, 60],
        "account_age_days": [0.0, 10.0, 20.0, None, 10.0, 10.0],
        "country": ["de", "de", "fr", "is", "", None],
        "shoes": ["x", "y", "x", "y", "x", "y"],
    }
)
SETTINGS = FeatureSettings(least_count=2, buckets=2, columns={"shoes": "categorical"})


def fitted(settings: FeatureSettings = SETTINGS) -> UserFeatures:
    return UserFeatures.fit(USERS, USERS["user_id"].to_pylist(), settings)


FITTED = fitted()


def column(features: UserFeatures, name: str) -> int:
    return [one.name for one in features.coded].index(name)


def test_a_category_is_unknown_rare_or_itself():
    features = fitted()
    codes = features.encode(
        [{"country": "de"}, {"country": "fr"}, {"country": "xx"}, {"country": None}, {}]
    ).codes
    assert codes[:, column(features, "country")].tolist() == [2, 1, 1, 0, 0]


def test_a_new_value_is_unknown_where_none_was_rare():
    features = fitted()
    codes = features.encode([{"shoes": "x"}, {"shoes": "z"}]).codes
    assert codes[:, column(features, "shoes")].tolist() == [2, 0]


def test_a_number_is_standardised_and_a_missing_one_flagged():
    numbers = fitted().encode([{"account_age_days": 10}, {"account_age_days": None}, {}]).numbers
    assert numbers.tolist() == [[0, 0], [0, 1], [0, 1]]
    spread = fitted().encode([{"account_age_days": 20}]).numbers[0, 0]
    assert spread == pytest.approx(10 / np.std([0, 10, 20, 10, 10]), rel=1e-6)


def test_buckets_hold_equally_many_and_zero_is_missing():
    features = fitted()
    codes = features.encode(USERS).codes[:, column(features, "age")]
    assert codes.tolist() == [1, 1, 1, 2, 0, 2]


def test_a_user_of_the_training_has_a_place_and_any_other_is_unknown():
    codes = fitted().encode([{"user_id": "a"}, {"user_id": "f"}, {"user_id": "new"}, {}]).codes[:, -1]
    assert codes.tolist() == [1, 6, 0, 0]
    assert fitted().user_place == 3
    assert fitted(FeatureSettings(user_id=False)).user_place == -1


def test_only_users_that_are_trained_on_are_learned_from():
    features = UserFeatures.fit(USERS, ["c", "d"], FeatureSettings(least_count=1))
    assert features.encode([{"country": "de"}, {"country": "fr"}]).codes[
        :, column(features, "country")
    ].tolist() == [
        0,
        2,
    ]


def test_numbers_and_text_of_the_same_value_are_the_same_category():
    users = pa.table({"user_id": ["a", "b"], "zip": [7, 7]})
    settings = FeatureSettings(least_count=1, columns={"zip": "categorical"}, user_id=False)
    features = UserFeatures.fit(users, ["a", "b"], settings)
    codes = features.encode([{"zip": 7}, {"zip": 7.0}, {"zip": "7"}, {"zip": float("nan")}]).codes
    assert codes[:, 0].tolist() == [2, 2, 2, 0]


def test_vocabularies_round_trip_through_json():
    features = fitted()
    again = UserFeatures.from_json(json.loads(json.dumps(features.to_json())))
    assert again.columns == features.columns
    for mine, theirs in zip(features.encode(USERS), again.encode(USERS), strict=True):
        np.testing.assert_array_equal(mine, theirs)


FIELDS = st.dictionaries(
    st.sampled_from(["country", "shoes", "user_id"]), st.none() | st.text(max_size=3), max_size=3
)


@given(st.lists(FIELDS, max_size=5))
def test_places_never_leave_the_vocabulary(rows):
    features = FITTED
    codes = features.encode(rows).codes
    assert (codes >= 0).all()
    assert (codes < np.array(features.sizes)).all()


def test_text_in_a_numeric_column_is_named_by_row_and_column():
    with pytest.raises(
        DataError, match=r"users row 1, column age: 'old' is not a number\. Leave it empty, or type"
    ):
        fitted().encode([{"age": 3}, {"age": "old"}])


def test_a_type_for_a_column_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"types hat, but the users' table has age, account_age_days"):
        fitted(FeatureSettings(columns={"hat": "categorical"}))
    with pytest.raises(
        ConfigError, match=r"features\.columns types hat, but the users' table has no column beside"
    ):
        UserFeatures.fit(None, ["a"], FeatureSettings(columns={"hat": "categorical"}))


def test_features_json_with_an_unknown_entry_is_named():
    with pytest.raises(DataError, match=r"features\.json: entry 'one_hot' is missing"):
        UserFeatures.from_json({"columns": []})


def test_a_type_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match=r"types age as 'numerical', which is no type\. Close: numeric"):
        FeatureSettings(columns={"age": "numerical"})


class Flag:
    """Yes or no, as a number."""

    coded = False

    def learn(self, name, *_):
        return Column(name, "flag")

    def places(self, *_):
        return 0

    def encoder(self, *_):
        return lambda values: np.array([[value == "yes", value is None] for value in values], np.float32)


def test_a_type_of_field_is_added_by_one_line(monkeypatch):
    monkeypatch.setitem(FIELD_TYPES, "flag", Flag())
    users = pa.table({"user_id": ["a", "b"], "premium": ["yes", "no"]})
    settings = FeatureSettings(columns={"premium": "flag"}, user_id=False)
    features = UserFeatures.fit(users, ["a", "b"], settings)
    again = UserFeatures.from_json(json.loads(json.dumps(features.to_json())))
    assert again.encode([{"premium": "yes"}, {}]).numbers.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("cell", [1e200, 1.7976931348623157e308, -1e39, float("inf")])
@pytest.mark.parametrize("kind", ["numeric", "bucketised"])
def test_a_number_beyond_float32_is_missing_and_said(kind, cell, caplog):
    users = pa.table({"user_id": ["a", "b", "c"], "height": [1.5, cell, 2.5]})
    settings = FeatureSettings(columns={"height": kind}, buckets=2, user_id=False)
    known = pa.table({"user_id": ["a", "b", "c"], "height": [1.5, None, 2.5]})
    with np.errstate(all="raise"):
        found = UserFeatures.fit(users, ["a", "b", "c"], settings)
        encoded = found.encode(users)
    assert found.to_json() == UserFeatures.fit(known, ["a", "b", "c"], settings).to_json()
    assert encoded.codes.tolist() == found.encode(known).codes.tolist()
    assert encoded.numbers.tolist() == found.encode(known).numbers.tolist()
    assert (
        f"users row 2, column height: {cell!r} is beyond 3.4e38 and counts as missing (1 in all)"
        in caplog.text
    )
