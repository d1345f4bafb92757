"""prepare-tables: a source and a path become a folder of tables."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from audiomae.errors import ConfigError, DataError
from audiomae.listening.content import Content
from audiomae.verbs.prepare_tables import SOURCES, PrepareTablesSettings, prepare_tables
from data_prep.plays.simulated.listeners import ListenerSettings
from data_prep.plays.write import SourceTables

FEW = ListenerSettings(listeners=20, mean_plays=5)


def test_users_are_simulated_over_a_corpus_and_the_result_says_so(small_corpus, tmp_path):
    settings = PrepareTablesSettings(
        ("simulated", str(small_corpus)), str(tmp_path / "tables"), listeners=FEW
    )
    result = prepare_tables(settings)
    assert (result.source, result.simulated) == ("simulated listeners", True)
    assert (result.counts["users"], result.counts["tracks"]) == (20, 6)
    meta = json.loads((tmp_path / "tables" / "tables.json").read_text())
    assert meta["format"] == "audiomae-tables/1"
    assert meta["settings"]["listeners"] == 20
    before = (tmp_path / "tables" / "interactions.parquet").read_bytes()
    prepare_tables(settings)
    assert (tmp_path / "tables" / "interactions.parquet").read_bytes() == before


def test_a_folder_with_tables_of_another_source_is_left_alone(small_corpus, tmp_path):
    made = prepare_tables(PrepareTablesSettings(("mel_content", str(small_corpus)), str(tmp_path)))
    assert made.counts["content"] == 6
    with pytest.raises(
        DataError, match=r"holds tables of mel-statistics, not of simulated listeners\. Name another"
    ):
        prepare_tables(PrepareTablesSettings(("simulated", str(small_corpus)), str(tmp_path), listeners=FEW))
    assert len(Content.open(tmp_path / "content.parquet")) == 6


def test_unknown_sources_and_settings_that_do_not_fit_are_refused():
    with pytest.raises(
        ConfigError, match=r"takes a source \(hetrec, movielens, .*\) and a path: audiomae prepare-"
    ):
        PrepareTablesSettings(("hetrec",))
    with pytest.raises(ConfigError, match=r"source 'spotify' is not known\. It must be one of hetrec"):
        PrepareTablesSettings(("spotify", "x"))
    with pytest.raises(ConfigError, match="traits are for simulated users; leave them out for hetrec"):
        PrepareTablesSettings(("hetrec", "x"), traits="t.csv")


def test_a_source_of_plays_is_added_by_one_line(tmp_path, monkeypatch):
    plays = pa.table({"user_id": ["a", "a"], "track_id": ["x", "y"], "timestamp": [1, 2]})
    monkeypatch.setitem(SOURCES, "mine", lambda settings: SourceTables(settings.inputs[1], [plays]))
    made = prepare_tables(PrepareTablesSettings(("mine", "my plays"), str(tmp_path)))
    assert (made.source, made.counts) == ("my plays", {"interactions": 2})
