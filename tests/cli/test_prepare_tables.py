"""prepare-tables: a source and a path become a folder of tables."""

from __future__ import annotations

import json

import pytest

from audiomae.cli.prepare_tables import PrepareTablesSettings, prepare_tables
from audiomae.errors import ConfigError, DataError
from audiomae.listening.content import Content
from data_prep.plays.simulated.listeners import ListenerSettings

FEW = ListenerSettings(listeners=20, mean_plays=5)


def test_listeners_are_simulated_over_a_corpus_and_a_line_says_so(small_corpus, tmp_path, capsys):
    config = PrepareTablesSettings(("simulated", str(small_corpus)), str(tmp_path / "tables"), listeners=FEW)
    assert prepare_tables(config) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["source"], said["simulated"], said["users"], said["tracks"]) == (
        "simulated listeners",
        True,
        20,
        6,
    )
    meta = json.loads((tmp_path / "tables" / "tables.json").read_text())
    assert meta["format"] == "audiomae-tables/1"
    assert meta["settings"]["listeners"] == 20
    before = (tmp_path / "tables" / "interactions.parquet").read_bytes()
    assert prepare_tables(config) == 0
    assert (tmp_path / "tables" / "interactions.parquet").read_bytes() == before


def test_a_folder_with_tables_of_another_source_is_left_alone(small_corpus, tmp_path, capsys):
    prepare_tables(PrepareTablesSettings(("mel_content", str(small_corpus)), str(tmp_path)))
    assert json.loads(capsys.readouterr().out)["content"] == 6
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
    with pytest.raises(ConfigError, match=r"source 'spotify' is not known; it must be one of hetrec"):
        PrepareTablesSettings(("spotify", "x"))
    with pytest.raises(ConfigError, match="traits are for simulated listeners; leave them out for hetrec"):
        PrepareTablesSettings(("hetrec", "x"), traits="t.csv")
