"""MovieLens 100k, on trees of both its layouts: GroupLens' own and RecBole's atomic files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from audiomae.errors import DataError
from audiomae.listening.content import Content
from audiomae.listening.tables import TableSettings, read_interactions, read_tracks, read_users
from data_prep.plays import movielens
from data_prep.plays.write import write_tables

CHILDREN = "Children's"
FLAGS = {"Animation": 2, CHILDREN: 3, "Comedy": 4}


def flags(*genres: str) -> str:
    return "|".join("1" if number in [FLAGS[genre] for genre in genres] else "0" for number in range(18))


OWN = {
    "u.data": "196\t1\t3\t881250949\n186\t267\t5\t891717742\n",
    "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
    "u.item": f"1|Toy Story (1995)|01-Jan-1995||http://x|0|{flags('Animation', 'Comedy')}\n"
    f"267|unknown||||1|{flags()}\n"
    f"2|Misérables, Les (1935)|01-Jan-1935||http://x|0|{flags(CHILDREN)}\n",
}
ATOMIC = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "196\t1\t3\t881250949\n186\t267\t5\t891717742\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "196\t49\tM\twriter\t55105\n186\t39\tF\texecutive\t00000\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tToy Story\t1995\tAnimation Comedy\n267\tunknown\t\tunknown\n2\tMisérables, Les\t1935\tChildren's\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="latin-1" if name.startswith("u.") else "utf-8")
    return folder


def read(folder: Path) -> tuple[object, ...]:
    plays = read_interactions(TableSettings(str(folder / "interactions.parquet")))
    users, tracks = read_users(folder / "users.parquet"), read_tracks(folder / "tracks.parquet")
    content = Content.open(folder / "content.parquet")
    return plays.fingerprint, users.to_pylist(), tracks.to_pylist(), content.fingerprint


def test_both_layouts_and_the_wheel_give_the_same_tables(tmp_path):
    write_tables(tmp_path / "a", movielens.tables(write(tmp_path / "ml-100k", OWN)))
    atomic = write(tmp_path / "recbole" / "dataset_example" / "ml-100k", ATOMIC)
    write_tables(tmp_path / "b", movielens.tables(tmp_path / "recbole"))
    with zipfile.ZipFile(tmp_path / "recbole-1.whl", "w") as wheel:
        for name in ATOMIC:
            wheel.write(atomic / name, f"recbole/dataset_example/ml-100k/{name}")
    write_tables(tmp_path / "c", movielens.tables(tmp_path / "recbole-1.whl"))
    assert read(tmp_path / "a") == read(tmp_path / "b") == read(tmp_path / "c")


def test_ratings_are_weights_and_users_have_fields_without_zip(tmp_path):
    said = write_tables(tmp_path / "out", movielens.tables(write(tmp_path / "ml", OWN)))
    assert "any rating counts as engagement unless least_weight is set" in " ".join(said["notes"])
    plays = read_interactions(
        TableSettings(str(tmp_path / "out" / "interactions.parquet"), events=("rating",))
    )
    assert plays.times.tolist() == [881250949, 891717742]
    assert plays.weights.tolist() == [3, 5]
    assert read_users(tmp_path / "out" / "users.parquet").to_pylist()[0] == {
        "user_id": "186", "age": 39, "gender": "F", "occupation": "executive"
    }  # fmt: skip


def test_content_is_genres_and_decade(tmp_path):
    write_tables(tmp_path / "out", movielens.tables(write(tmp_path / "ml", OWN)))
    content = Content.open(tmp_path / "out" / "content.parquet")
    set_entries = {
        name: row.nonzero()[0].tolist() for name, row in zip(content.track_ids, content.vectors, strict=True)
    }
    assert set_entries == {"1": [2, 4, 18 + 7], "2": [3, 18 + 1], "267": [18 + 8]}
    assert content.tags["genre"].to_pylist() == ["Animation|Comedy", "Children's", ""]


def test_a_broken_line_is_named(tmp_path):
    tree = write(tmp_path / "ml", OWN | {"u.data": "196\t1\t3\t881250949\n186\t267\n"})
    with pytest.raises(DataError, match=r"u\.data, line 2: 2 cells, 4 are right"):
        movielens.tables(tree)
    tree = write(tmp_path / "ml2", OWN | {"u.user": "196|old|M|writer|55105\n"})
    with pytest.raises(DataError, match="a rating, time or age is no number"):
        movielens.tables(tree)
