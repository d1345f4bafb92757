"""All that is wrong with a set of tables is found, not the first thing alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.listening.check.audit import audit_tables
from audiomae.listening.content import write_content

NOW = 1_700_000_000.0
PLAYS = """user_id,track_id,timestamp,weight
u1,t1,100,1
u1,t1,100,1
,t1,100,1
u1,t2,-3,1

u2,t2,1600000000000,-1
u2,t3,abc,1
u2,t3,1800000000,nan
u9,t3,5,0
"""


def lines(
    tmp_path: Path, plays: str, *, users: str = "", tracks: str = "", content: Path | None = None
) -> list[str]:
    paths = {}
    for name, text in (("plays", plays), ("users", users), ("tracks", tracks)):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        paths[name] = path if text else None
    audit = audit_tables(paths["plays"] or "", paths["users"], paths["tracks"], content, now=NOW)
    start = f"{tmp_path}/"
    return [
        ("error " if finding.error else "warning ") + finding.line().replace(start, "")
        for finding in audit.findings.all
    ]


def test_every_kind_of_problem_is_found_with_its_row(tmp_path):
    found = "\n".join(lines(tmp_path, PLAYS))
    for start in (
        "error plays.csv: row 3 (line 4), column user_id: '' is empty.",
        "error plays.csv: row 4 (line 5), column timestamp: '-3' is before 1970.",
        "error plays.csv: row 6 (line 7), column timestamp: '1600000000000' is in milliseconds or finer",
        "error plays.csv: row 6 (line 7), column weight: '-1' is negative.",
        "error plays.csv: row 7 (line 8), column timestamp: 'abc' is no time.",
        "error plays.csv: row 8 (line 9), column timestamp: '1800000000' is in the future.",
        "error plays.csv: row 8 (line 9), column weight: 'nan' is empty.",
        "warning plays.csv: column weight: 1 rows have weight 0 and are left out.",
        "warning plays.csv: row 2 (line 3), column user_id+track_id+timestamp: ('u1', 't1') is there twice",
    ):
        assert start in found


def test_many_rows_of_a_kind_are_one_line_with_a_count(tmp_path):
    plays = "user_id,track_id,timestamp\n" + "".join(f"u,t{row},-{row}\n" for row in range(1, 8)) + "v,t,1\n"
    (found,) = [line for line in lines(tmp_path, plays) if "1970" in line]
    assert found.startswith(
        "error plays.csv: row 1 (line 2), column timestamp: '-1' is before 1970 (7 in all; also"
    )
    assert "row 3 (line 4) '-3')" in found


def test_one_user_one_track_one_time_and_no_time_are_warned_of(tmp_path):
    found = "\n".join(lines(tmp_path, "user_id,track_id\nu,t\n"))
    assert "warning plays.csv: column user_id: 'u' is the only one" in found
    assert "warning plays.csv: column track_id: 't' is the only one" in found
    assert "warning plays.csv: column timestamp: there is no time. Split per user" in found
    found = "\n".join(lines(tmp_path, "user_id,track_id,timestamp\nu,t,5\nv,s,5\n"))
    assert "column timestamp: 5 is the time of every row. Split per user" in found


def test_ids_of_one_table_alone_are_named(tmp_path):
    plays = "user_id,track_id,timestamp\na,x,1\nb,y,2\n"
    users, tracks = "user_id\na\nc\n", "track_id\nx\nz\n"
    content = tmp_path / "content.parquet"
    write_content(content, pa.table({"track_id": ["x", "w"]}), np.ones((2, 3), np.float32))
    found = "\n".join(lines(tmp_path, plays, users=users, tracks=tracks, content=content))
    assert "warning plays.csv: column user_id: 'b' is not in users.csv." in found
    assert "warning users.csv: column user_id: 'c' is without a play." in found
    assert "warning tracks.csv: column track_id: 'z' is without a play." in found
    assert "warning plays.csv: column track_id: 'y' is without a vector in content.parquet." in found
    assert "warning content.parquet: column track_id: 'w' is without a play. They are new tracks." in found
    assert "error" not in found


def test_content_of_other_tracks_altogether_is_an_error(tmp_path):
    content = tmp_path / "content.parquet"
    write_content(content, pa.table({"track_id": ["w"]}), np.ones((1, 3), np.float32))
    found = lines(tmp_path, "user_id,track_id,timestamp\na,x,1\nb,y,2\n", content=content)
    assert any(line.startswith("error plays.csv: column track_id: 'x' is without a vector") for line in found)


def test_fields_of_users_are_looked_at(tmp_path):
    users = "user_id,age,account_age_days,height\na,300,5,inf\nb,20,old,1.5\na,20,1,1.5\n"
    found = "\n".join(lines(tmp_path, "user_id,track_id,timestamp\na,x,1\nb,y,2\n", users=users))
    assert "warning users.csv: row 1 (line 2), column age: 300 is outside 0 to 120." in found
    assert "error users.csv: column account_age_days: '5' is of type string, not a number." in found
    assert "warning users.csv: row 1 (line 2), column height: inf is not finite." in found
    assert "error users.csv: row 3 (line 4), column user_id: 'a' stands in an earlier row too." in found


def test_a_missing_table_is_a_line_and_the_others_are_looked_at(tmp_path):
    audit = audit_tables(tmp_path / "none.csv", tmp_path / "neither.csv", content=tmp_path / "nor.parquet")
    assert [finding.line().split(": ")[1] for finding in audit.findings.all] == [
        "no such file. Check the spelling.",
        "no such file. Check the spelling.",
        "no such file or folder. Check the spelling.",
    ]
    assert audit.findings.errors == 3


@pytest.mark.parametrize("text", ["user_id,track_id\n", "user_id,item\na,b\n"])
def test_an_empty_table_and_a_missing_column_are_errors(tmp_path, text):
    assert lines(tmp_path, text)[0].startswith("error plays.csv: ")


def test_words_for_nothing_and_numbers_beyond_float32_are_warned_of(tmp_path):
    found = "\n".join(
        lines(
            tmp_path,
            "user_id,track_id,timestamp\nNULL,x,1\nb,y,2\n",
            users="user_id,height\nNULL,1e200\nb,1.5\n",
        )
    )
    assert (
        "warning plays.csv: column user_id: 'NULL' is taken for an id like any other. If it stands for"
        in found
    )
    assert (
        "warning users.csv: row 1 (line 2), column height: 1e+200 is beyond 3.4e38. It counts as unknown"
        in found
    )


def test_times_in_float32_are_warned_of(tmp_path):
    times = pa.array([1.0, 2.0], pa.float32())
    pq.write_table(
        pa.table({"user_id": ["a", "b"], "track_id": ["x", "y"], "timestamp": times}), tmp_path / "p.parquet"
    )
    audit = audit_tables(tmp_path / "p.parquet", now=NOW)
    assert [(finding.error, finding.line().split(": ", 1)[1]) for finding in audit.findings.all] == [
        (
            False,
            "column timestamp: float keeps a time of today to 128 seconds only (2 in all). Write the column as whole "
            "numbers.",
        )
    ]


def test_rows_without_times_that_repeat_are_summed_and_said(tmp_path):
    found = "\n".join(lines(tmp_path, "user_id,track_id\nu,t\nu,t\nv,s\n"))
    assert "('u', 't') is there twice; the weights are summed. Fine, if each row is a play." in found
