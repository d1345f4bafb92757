"""check-tables: what is wrong, on stdout, and 1 if tables cannot be used."""

from __future__ import annotations

import json

from audiomae.cli.main import main


def test_errors_come_first_and_the_exit_is_one(tmp_path, capsys):
    (tmp_path / "plays.csv").write_text("user_id,track_id,timestamp\na,x,1\na,x,1\nb,y,-1\n")
    assert main(["check-tables", str(tmp_path / "plays.csv")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error:   ")
    assert "row 3 (line 4), column timestamp: '-1' is before 1970. Give seconds since" in lines[0]
    assert lines[1].startswith("warning: ")
    assert lines[-2].startswith("interactions 3, users_with_plays 2, tracks_with_plays 2")
    assert lines[-1] == "1 kinds of error, 1 kinds of warning"


def test_good_tables_and_mere_warnings_exit_with_zero(tmp_path, capsys):
    (tmp_path / "plays.csv").write_text("user_id,track_id,timestamp\na,x,1\nb,y,2\n")
    (tmp_path / "users.csv").write_text("user_id,age\na,20\nb,30\nc,40\n")
    assert main(["check-tables", str(tmp_path / "plays.csv"), "--users", str(tmp_path / "users.csv")]) == 0
    assert "users.csv: column user_id: 'c' is without a play" in capsys.readouterr().out


def test_json_is_one_object_with_every_finding(tmp_path, capsys):
    (tmp_path / "plays.csv").write_text("user_id,track_id,timestamp\na,,1\nb,y,2\n")
    assert main(["check-tables", str(tmp_path / "plays.csv"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["errors"] == 1
    assert said["counts"]["interactions"] == 2
    first = said["findings"][0]
    assert (first["column"], first["count"], first["examples"]) == ("track_id", 1, [["row 1 (line 2)", "''"]])
    assert first["line"].endswith(
        "row 1 (line 2), column track_id: '' is empty. Fill it in, or drop the row."
    )
