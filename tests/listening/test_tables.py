"""Tables of plays: what they are read as, and each kind of bad input by its line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.errors import ConfigError, DataError, MissingError
from audiomae.listening.tables import (
    Interactions,
    TableSettings,
    read_interactions,
    read_tracks,
    read_users,
)

NOW = 1_700_000_000.0
HEADER = "user_id,track_id,timestamp,weight,played_ratio,event\n"


def read(path: Path, text: str, **options: object) -> Interactions:
    path.write_text(text, encoding="utf-8")
    return read_interactions(TableSettings(str(path), **options), now=NOW)  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "plays.csv"


def test_rows_are_sorted_by_time_user_and_track_and_duplicates_kept_once(rows_of, table):
    plays = read(table, "user_id,track_id,timestamp,weight\nb,y,7,1\na,y,7,1\na,x,9,1\na,y,7,3\na,y,3,1\n")
    assert plays.user_ids == ["a", "b"]
    assert plays.track_ids == ["x", "y"]
    assert rows_of(plays) == [("a", "y", 3, 1), ("a", "y", 7, 3), ("b", "y", 7, 1), ("a", "x", 9, 1)]


def test_ids_are_strings_whatever_they_look_like(table, tmp_path):
    assert read(table, "user_id,track_id\n007,1.0\n7,NA\n").user_ids == ["007", "7"]
    pq.write_table(pa.table({"user_id": [10, 9], "track_id": [2, 2]}), tmp_path / "plays.parquet")
    plays = read_interactions(TableSettings(str(tmp_path / "plays.parquet")))
    assert plays.user_ids == ["10", "9"]
    assert plays.track_ids == ["2"]


def test_a_table_without_time_or_with_an_empty_column_has_no_times(table):
    assert read(table, "user_id,track_id\na,x\n").times is None
    assert read(table, "user_id,track_id,timestamp\na,x,\nb,x,\n").times is None


def test_iso_text_numbers_and_zones_mean_the_same_second(table):
    texts = ("2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 01:00:00+01:00", "1577836800", "1577836800.9")
    for text in (*texts, "2020-01-01T00:00:00.5", "1.5778368e9"):
        assert read(table, f"user_id,track_id,timestamp\na,x,{text}\n").times.tolist() == [1577836800], text


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_timestamps_of_any_unit_are_seconds(tmp_path, unit):
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    for kind in (pa.timestamp(unit), pa.timestamp(unit, tz="UTC")):
        times = pa.array([moment], pa.timestamp("s", tz="UTC")).cast(kind)
        pq.write_table(
            pa.table({"user_id": ["a"], "track_id": ["x"], "timestamp": times}), tmp_path / "p.parquet"
        )
        plays = read_interactions(TableSettings(str(tmp_path / "p.parquet")), now=NOW)
        assert plays.times is not None
        assert plays.times.tolist() == [1577836800]


def test_events_weights_and_played_ratios_choose_rows(table):
    text = HEADER + "a,x,1,1,0.9,play\na,y,2,3,0.2,play\na,z,3,1,,like\nb,w,4,0,1,play\n"
    assert read(table, text).track_ids == ["x", "y", "z"]
    assert read(table, text, events=("play",)).track_ids == ["x", "y"]
    assert read(table, text, least_weight=2).track_ids == ["y"]
    assert read(table, text, least_played_ratio=0.5).track_ids == ["x"]
    with pytest.raises(DataError, match=r"none of its 4 rows is left; .* Its events are 'like', 'play'"):
        read(table, text, events=("skip",))


WRONG = {
    "a,,1,1,1,play": r"row 3 \(line 4\), column track_id: '' is empty\. Fill it in, or drop the row\.",
    "a,x,-5,1,1,play": r"row 3 \(line 4\), column timestamp: '-5' is before 1970\. Give seconds since",
    "a,x,1600000000000,1,1,play": r"row 3 \(line 4\), column timestamp: '1600000000000' is in milliseconds or"
    r" finer, not in seconds since 1970\. Divide the column by 1000",
    "a,x,1800000000,1,1,play": r"row 3 \(line 4\), column timestamp: '1800000000' is in the future\. Correct",
    "a,x,soon,1,1,play": r"row 3 \(line 4\), column timestamp: 'soon' is no time\. Give seconds since",
    "a,x,2020-13-45,1,1,play": r"row 3 \(line 4\), column timestamp: '2020-13-45' is no time",
    "a,x,nan,1,1,play": r"row 3 \(line 4\), column timestamp: '' is empty",
    "a,x,inf,1,1,play": r"row 3 \(line 4\), column timestamp: 'inf' is no time",
    "a,x,,1,1,play": r"row 3 \(line 4\), column timestamp: '' is empty\. .* a table without any time is fine",
    "a,x,1,-2,1,play": r"row 3 \(line 4\), column weight: '-2' is negative\. Correct the row, or drop it\.",
    "a,x,1,nan,1,play": r"row 3 \(line 4\), column weight: 'nan' is empty",
    "a,x,1,inf,1,play": r"row 3 \(line 4\), column weight: 'inf' is not finite",
    "a,x,1,much,1,play": r"row 3 \(line 4\), column weight: 'much' is no number",
    "a,x,1,,1,play": r"row 3 \(line 4\), column weight: '' is empty",
    "a,x,1,1,1.5,play": r"row 3 \(line 4\), column played_ratio: '1\.5' is outside 0 to 1",
    "a,x,1": r"line 4: it has 3 cells where the header has 6\. Correct the row, or drop it\.",
}


@pytest.mark.parametrize("row", WRONG)
def test_each_kind_of_bad_row_is_refused_by_its_line(table, row):
    with pytest.raises(DataError, match=WRONG[row]):
        read(table, f"{HEADER}b,y,5,1,1,play\n\n{row}\nb,y,6,1,1,play\n")


def test_a_row_of_parquet_is_named_by_its_number(tmp_path):
    columns = {"user_id": ["a", None], "track_id": ["x", "x"]}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet: row 2, column user_id: None is empty"):
        read_interactions(TableSettings(str(tmp_path / "p.parquet")))
    pq.write_table(pa.table({"user_id": [1.5], "track_id": ["x"]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"column user_id: ids are of type double; .* whole numbers"):
        read_interactions(TableSettings(str(tmp_path / "p.parquet")))


def test_what_is_no_table_is_refused_by_name(tmp_path, table):
    with pytest.raises(MissingError, match=r"none\.csv: no such file"):
        read_interactions(TableSettings(str(tmp_path / "none.csv")))
    with pytest.raises(DataError, match=r"a table ends in \.csv, \.tsv, \.parquet, \.pq"):
        read(tmp_path / "plays.txt", "user_id\n")
    with pytest.raises(DataError, match="empty, with no header"):
        read(table, "")
    with pytest.raises(DataError, match="column 'user_id' comes twice"):
        read(table, "user_id,user_id,track_id\na,a,x\n")
    with pytest.raises(DataError, match=r"column track_id: is missing\. The table has user_id, item; rename"):
        read(table, "user_id,item\na,x\n")
    with pytest.raises(DataError, match="0 rows; at least one is needed"):
        read(table, "user_id,track_id\n")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="cannot be read as a table, perhaps cut short"):
        read_interactions(TableSettings(str(tmp_path / "cut.parquet")))
    with pytest.raises(ConfigError, match=r"least_played_ratio is 2; it must be from 0 to 1"):
        TableSettings("x.csv", least_played_ratio=2)


def test_users_are_sorted_with_the_id_first_and_empty_cells_null(tmp_path):
    (tmp_path / "users.csv").write_text("age,user_id,country\n31,b,DE\n,a,\n")
    users = read_users(tmp_path / "users.csv")
    assert users.to_pylist() == [
        {"user_id": "a", "age": None, "country": None},
        {"user_id": "b", "age": 31, "country": "DE"},
    ]


def test_tracks_have_their_five_columns_and_keep_others(tmp_path):
    (tmp_path / "tracks.csv").write_text("track_id,title,year\nb,1999,2000\na,,\n")
    tracks = read_tracks(tmp_path / "tracks.csv")
    assert tracks.column_names == ["track_id", "title", "artist", "album", "genre", "year"]
    assert tracks["title"].to_pylist() == ["", "1999"]
    assert tracks["artist"].to_pylist() == ["", ""]


def test_a_keyed_table_names_the_row_of_an_empty_or_repeated_id(tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("user_id\na\nb\na\n")
    with pytest.raises(
        DataError, match=r"row 3 \(line 4\), column user_id: 'a' stands in row 1 \(line 2\) too"
    ):
        read_users(users)
    users.write_text("user_id,age\na,1\n,2\n")
    with pytest.raises(DataError, match=r"row 2 \(line 3\), column user_id: empty\. Fill it in"):
        read_users(users)
    users.write_text("name\na\n")
    with pytest.raises(DataError, match=r"column user_id is missing\. The table has name"):
        read_users(users)
    users.write_text("user_id,age\na,1\nb\n")
    with pytest.raises(DataError, match=r"Expected 2 columns, got 1"):
        read_users(users)


def parquet(path: Path, **columns: object) -> TableSettings:
    pq.write_table(pa.table(columns), path)
    return TableSettings(str(path))


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.large_string())]
)
def test_ids_of_every_kind_of_text_are_read(rows_of, tmp_path, kind):
    ids = pa.array(["a", "b", "a"]).cast(pa.string()).cast(kind)
    plays = read_interactions(parquet(tmp_path / "p.parquet", user_id=ids, track_id=ids, event=ids))
    assert rows_of(plays) == [("a", "a", None, 2), ("b", "b", None, 1)]


@pytest.mark.parametrize(("scale", "cells"), [(0, ["10", "9"]), (2, ["10.00", "9.50"])])
def test_decimal_ids_are_their_digits(tmp_path, scale, cells):
    ids = pa.array([Decimal(cell) for cell in cells], pa.decimal128(20, scale))
    assert read_interactions(parquet(tmp_path / "p.parquet", user_id=ids, track_id=ids)).user_ids == [
        "10",
        "9" if scale == 0 else "9.5",
    ]
    assert read_users(tmp_path / "p.parquet")["user_id"].to_pylist() == ["10", "9" if scale == 0 else "9.5"]


def test_sparks_folder_of_parts_is_one_table(rows_of, tmp_path):
    folder = tmp_path / "plays"
    folder.mkdir()
    for number, user in enumerate("ba"):
        table = pa.table({"user_id": [user], "track_id": ["x"], "timestamp": [number + 1]})
        pq.write_table(table, folder / f"part-0000{number}-abc.snappy.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.crc").touch()
    assert rows_of(read_interactions(TableSettings(str(folder)))) == [("b", "x", 1, 1), ("a", "x", 2, 1)]
    assert read_users(folder)["user_id"].to_pylist() == ["a", "b"]
    (folder / "_temporary").mkdir()
    with pytest.raises(DataError, match="holds _temporary; its writing has not finished"):
        read_interactions(TableSettings(str(folder)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: a folder without part-\*\.parquet\. Name a table"):
        read_interactions(TableSettings(str(tmp_path / "empty")))
    (folder / "_temporary").rmdir()
    pq.write_table(pa.table({"user_id": ["a"], "song": ["x"]}), folder / "part-00002.parquet")
    with pytest.raises(
        DataError, match=r"part-00002\.parquet: has columns user_id, song, the first part has user_id, "
    ):
        read_interactions(TableSettings(str(folder)))


def test_bigquerys_utc_is_a_zone(table):
    for text in ("2020-01-01 00:00:00 UTC", "2020-01-01 00:00:00.5 UTC", "2020-01-01T00:00:00 GMT"):
        assert read(table, f"user_id,track_id,timestamp\na,x,{text}\n").times.tolist() == [1577836800], text


@pytest.mark.parametrize("word", ["NULL", "NaN", "nan", "\\N", "null"])
def test_words_for_nothing_are_missing_numbers_and_ids_like_any_other(table, word):
    plays = read(table, f"user_id,track_id,timestamp,played_ratio\n{word},x,{word},{word}\nb,y,{word},1\n")
    assert plays.times is None
    assert sorted(plays.user_ids) == sorted([word, "b"])
    with pytest.raises(DataError, match=r"column weight: .* is empty"):
        read(table, f"user_id,track_id,weight\na,x,{word}\n")
    table.write_text(f"user_id,age,country\n{word},{word},{word}\nb,20,NA\n")
    users = read_users(table)
    rows = {row["user_id"]: (row["age"], row["country"]) for row in users.to_pylist()}
    assert rows == {word: (None, None), "b": (20, "NA")}


def test_rows_without_times_are_plays_and_their_weights_are_summed(rows_of, table):
    plays = read(table, "user_id,track_id,weight\na,x,1\na,x,2\nb,x,5\na,x,3\na,x,4\n")
    assert rows_of(plays) == [("a", "x", None, 10), ("b", "x", None, 5)]
    assert rows_of(read(table, "user_id,track_id\na,x\na,x\na,x\n")) == [("a", "x", None, 3)]
    timed = read(table, "user_id,track_id,timestamp,weight\na,x,1,1\na,x,1,4\n")
    assert rows_of(timed) == [("a", "x", 1, 4)]


@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ("1e39", r"row 2 \(line 3\), column weight: '1e39' is above 3\.4e38, the largest weight"),
        ("1e-46", r"row 2 \(line 3\), column weight: '1e-46' is below 1\.4e-45, the smallest weight above 0"),
        ("1e308", "is above 3.4e38"),
    ],
)
def test_weights_that_float32_makes_infinite_or_nothing_are_refused_by_row(table, weight, line):
    with pytest.raises(DataError, match=line):
        read(table, f"user_id,track_id,weight\na,x,1\nb,x,{weight}\n")
