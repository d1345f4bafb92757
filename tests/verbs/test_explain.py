from __future__ import annotations

import dataclasses
import inspect

import pytest

from audiomae.errors import ConfigError, DataError
from audiomae.recommend.serving.recommender import Recommender
from audiomae.verbs.explain import ExplainSettings, explain
from audiomae.verbs.recommend import RecommendSettings, recommend


def test_explain_gives_the_nearest_heard_songs_and_the_parts(tastes):
    first = recommend(RecommendSettings(tastes, user="u01", k=1)).lists[0].songs[0]
    about = explain(ExplainSettings(tastes, first.track_id, user="u01"))
    assert about.place == about.place_of_retrieval == 1
    assert (about.heard, about.user, about.items, about.ranker) == (False, "u01", 60, None)
    assert about.track.title == f"Title of {first.track_id}"
    assert len(about.nearest_heard) == 5
    assert {song.track_id[0] for song in about.nearest_heard} == {"c"}
    cosines = [song.cosine for song in about.nearest_heard]
    assert cosines == sorted(cosines, reverse=True)
    assert sum(dataclasses.asdict(about.shares).values()) == pytest.approx(1)
    assert about.retrieval == pytest.approx(first.score, abs=1e-5)


def test_a_heard_song_is_told_as_one_with_the_place_it_would_have(tastes):
    heard = explain(ExplainSettings(tastes, "m01", liked="m01,m02"))
    assert heard.heard
    assert heard.place is not None
    assert [song.track_id for song in heard.nearest_heard] == ["m02"]


def test_python_users_get_the_answers_and_the_defaults_of_the_verb(tastes):
    opened = Recommender.open(tastes)
    assert opened.explain("c03", "u01") == explain(ExplainSettings(tastes, "c03", user="u01"))
    assert opened.explain("m03", liked=["m01"], nearest=1) == explain(
        ExplainSettings(tastes, "m03", liked="m01", nearest=1)
    )
    fields = ExplainSettings.__dataclass_fields__
    for name, parameter in inspect.signature(Recommender.explain).parameters.items():
        if name not in ("self", "track"):
            assert parameter.default == fields[name].default, name


def test_explain_refuses_what_is_not_there(tastes):
    with pytest.raises(DataError, match="track 'x' is not among the 60"):
        explain(ExplainSettings(tastes, "x", user="u01"))
    with pytest.raises(ConfigError, match="explain is about one user"):
        ExplainSettings(tastes, "c01")
    with pytest.raises(ConfigError, match="nearest is 0; it must be at least 1"):
        ExplainSettings(tastes, "c01", user="u01", nearest=0)
